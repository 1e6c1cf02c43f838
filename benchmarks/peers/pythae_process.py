"""pythae's models under pythae's trainers, on command: the other side of `benchmarks.peers.pythae`.

Runs in the peer's environment, where nothing of this project is installed. Every line of standard input is a
request in JSON, every line of standard output its answer:

    {"build": {...}}        the case's model and trainer are made; answers with the numbers of parameters
    {"run": "vae mlp"}      one epoch of its trainer; answers with wall-clock and CPU seconds
    {}                      answers {}, once the libraries are there

Models, losses and trainers are pythae's, as installed; given to them are networks of the sizes asked for.
"""

import json
import logging
import math
import os
import sys
import tempfile
import time
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # the trainers put up a progress bar whether asked or not
logging.disable(logging.CRITICAL)

import torch
from pythae import models
from pythae.data.datasets import BaseDataset
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.trainers import AdversarialTrainer, AdversarialTrainerConfig, BaseTrainer, BaseTrainerConfig
from torch import nn

MODELS = {
    "vae": (models.VAE, models.VAEConfig),
    "beta_tcvae": (models.BetaTCVAE, models.BetaTCVAEConfig),
    "factor_vae": (models.FactorVAE, models.FactorVAEConfig),
}


class Encoder(BaseEncoder):
    """Mean and log-variance, read linearly off a trunk."""

    def __init__(self, trunk: nn.Module, width: int, latent: int):
        super().__init__()
        self.trunk = trunk
        self.mean, self.log_variance = nn.Linear(width, latent), nn.Linear(width, latent)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        """Returns the moments of the posterior."""
        features = self.trunk(x)
        return ModelOutput(embedding=self.mean(features), log_covariance=self.log_variance(features))


class Decoder(BaseDecoder):
    """The means of the pixels."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, z: torch.Tensor) -> ModelOutput:
        """Returns the means of the likelihood."""
        return ModelOutput(reconstruction=self.network(z))


class Critic(BaseDiscriminator):
    """A perceptron with the two logits that pythae's loss reads."""

    def __init__(self, latent: int, hidden: list[int]):
        super().__init__()
        self.network = nn.Sequential(*perceptron([latent, *hidden], nn.LeakyReLU(0.2)), nn.Linear(hidden[-1], 2))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        return self.network(z)


def perceptron(widths: list[int], activation: nn.Module) -> list[nn.Module]:
    pairs = zip(widths, widths[1:], strict=False)
    return [layer for before, after in pairs for layer in (nn.Linear(before, after), activation)]


def dense(case: dict) -> tuple[Encoder, Decoder]:
    pixels, hidden, latent = math.prod(case["shape"]), case["hidden"], case["latent"]
    trunk = nn.Sequential(nn.Flatten(), *perceptron([pixels, *hidden], nn.ReLU()))
    network = nn.Sequential(
        *perceptron([latent, *reversed(hidden)], nn.ReLU()),
        nn.Linear(hidden[0], pixels),
        nn.Unflatten(1, channels_first(case)),
        nn.Sigmoid(),
    )
    return Encoder(trunk, hidden[-1], latent), Decoder(network)


def convolutional(case: dict) -> tuple[Encoder, Decoder]:
    """The pair of disentanglement_lib for 64x64 pixels."""
    latent, relu = case["latent"], nn.ReLU()
    down = [nn.Conv2d(1, 32, 4, 2, 1), nn.Conv2d(32, 32, 4, 2, 1), nn.Conv2d(32, 64, 2, 2), nn.Conv2d(64, 64, 2, 2)]
    up = [nn.ConvTranspose2d(before, after, 4, 2, 1) for before, after in ((64, 64), (64, 32), (32, 32))]
    trunk = [
        *(layer for convolution in down for layer in (convolution, relu)),
        nn.Flatten(),
        nn.Linear(1024, 256),
        relu,
    ]
    bottom = [*perceptron([latent, 256, 1024], relu), nn.Unflatten(1, (64, 4, 4))]
    top = [*(layer for convolution in up for layer in (convolution, relu)), nn.ConvTranspose2d(32, 1, 4, 2, 1)]
    return Encoder(nn.Sequential(*trunk), 256, latent), Decoder(nn.Sequential(*bottom, *top, nn.Sigmoid()))


def channels_first(case: dict) -> tuple[int, ...]:
    height, width, channels = case["shape"]
    return (channels, height, width)


def trainer_of(case: dict, folder: str) -> BaseTrainer:
    """Returns a trainer whose epoch is one run of the case, ready to train."""
    encoder, decoder = {"mlp": dense, "conv": convolutional}[case["network"]](case)
    kind, config = MODELS[case["recipe"]]
    shape, rate, adam = channels_first(case), case["learning_rate"], {"eps": case["epsilon"]}
    settings = {"input_dim": shape, "latent_dim": case["latent"], "reconstruction_loss": "bce"}
    model = kind(config(**settings, **case["parameters"]), encoder, decoder)
    data = torch.rand(case["steps"] * case["batch"], *shape)
    common = {"output_dir": folder, "per_device_train_batch_size": case["batch"], "no_cuda": True}
    if critic := case.get("critic"):
        model.set_discriminator(Critic(case["latent"], critic["hidden"]))
        training = AdversarialTrainerConfig(
            autoencoder_learning_rate=rate,
            autoencoder_optimizer_params=adam,
            discriminator_learning_rate=critic["learning_rate"],
            discriminator_optimizer_params=adam | {"betas": critic["betas"]},
            **common,
        )
        trainer = AdversarialTrainer(model, BaseDataset(data, torch.ones(len(data))), training_config=training)
    else:
        training = BaseTrainerConfig(learning_rate=rate, optimizer_params=adam, **common)
        trainer = BaseTrainer(model, BaseDataset(data, torch.ones(len(data))), training_config=training)
    trainer.prepare_training()
    return trainer


def parameters(module: nn.Module | None) -> int:
    return sum(weight.numel() for weight in module.parameters()) if module else 0


def answer(request: dict, trainers: dict[str, BaseTrainer], folder: str) -> dict[str, Any]:
    if case := request.get("build"):
        trainer = trainers[case["name"]] = trainer_of(case, folder)
        model = trainer.model
        counts = {"model": parameters(model.encoder) + parameters(model.decoder)}
        return counts | {"critic": parameters(getattr(model, "discriminator", None))}
    if "run" not in request:
        return {}
    trainer = trainers[request["run"]]
    wall, cpu = time.perf_counter(), time.process_time()
    trainer.train_step(1)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever the libraries print must not be taken for an answer
    torch.set_num_threads(int(sys.argv[1]))
    torch.set_num_interop_threads(1)
    trainers: dict[str, BaseTrainer] = {}
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line), trainers, folder)), file=answers, flush=True)


if __name__ == "__main__":
    main()
