"""What a training needs to go on after it was killed as if nothing had happened."""

import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import keras
import tensorflow as tf

from models.errors import InputError

KEEP = "keep"
"""A file of this name among the checkpoints says that the training is to go on later, with more epochs."""


@dataclass
class State:
    """Where a training stands, apart from its tensors.

    Args:
        step: optimizer steps done; with the seed it determines the position in the data.
        seconds: time spent in training, over all runs of it.
        history: per finished epoch: `epoch`, `step`, and the metrics `train` and `eval` by name.
        best: the lowest evaluation objective so far, nats.
        best_epoch: the epoch that reached it, counted from 1.
        wait: epochs since then.
        stopped: whether early stopping has ended the training.
        warnings: what a person was warned of.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[dict] = field(default_factory=list)
    best: float = 1e300
    best_epoch: int = 0
    wait: int = 0
    stopped: bool = False
    warnings: list[str] = field(default_factory=list)


class _Record(tf.train.experimental.PythonState):
    def __init__(self, state: State):
        self._state = state

    def serialize(self) -> str:
        return json.dumps(dataclasses.asdict(self._state))

    def deserialize(self, string_value: bytes) -> None:
        vars(self._state).update(json.loads(string_value))


class Checkpoints:
    """Checkpoints of one training: weights, optimizer, random state, metrics, best weights, `State`.

    A checkpoint counts once TensorFlow has renamed its state file, so one that was cut off is never read.

    Args:
        folder: where they go; two are kept.
        model: a compiled model whose optimizer is built.
        best: copies of `model.weights` at the best epoch, kept up to date by the caller.
        state: the training's state; `restore` changes it in place.
    """

    def __init__(self, folder: str, *, model: keras.Model, best: list[tf.Variable], state: State):
        optimizers = [model.optimizer, *(critic.optimizer for critic in model.critics)]
        variables = [*model.variables, *model.metrics_variables]
        variables += [variable for optimizer in optimizers for variable in optimizer.variables]
        tensors = [variable.value for variable in variables]
        self._folder = folder
        self._checkpoint = tf.train.Checkpoint(variables=tensors, best=best, state=_Record(state))
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=2)
        self._metrics = model.metrics_variables
        self._restored: list | None = None
        self._state = state

    def restore(self, most: int | None = None) -> bool:
        """Puts model, optimizer, best weights and state back to the last checkpoint, if there is one.

        Args:
            most: checkpoints beyond this step are a longer training's, and passed over.
        """
        steps = {int(path.rpartition("-")[2]): path for path in self._manager.checkpoints}
        within = [step for step in steps if most is None or step <= most]
        if not within:
            return False
        self._checkpoint.restore(steps[max(within)]).assert_consumed()
        self._restored = [variable.numpy() for variable in self._metrics]
        return True

    def restore_metrics(self) -> None:
        """Puts the metrics back, once after `restore`: Keras resets them at the start of an epoch."""
        if self._restored is None:
            return
        for variable, value in zip(self._metrics, self._restored, strict=True):
            variable.assign(value)
        self._restored = None

    def save(self) -> None:
        """Writes a checkpoint at the state's step.

        Raises:
            InputError: if the folder cannot be written.
        """
        try:
            self._manager.save(checkpoint_number=self._state.step)
        except (OSError, tf.errors.OpError) as error:
            # TensorFlow puts the op and the file before what the disk said, and the op once more behind it.
            reason = str(error).splitlines()[0].rpartition("; ")[2].partition(" [Op:")[0]
            raise InputError(
                f"checkpoints: cannot write to {self._folder}: {reason}. Free some space or make the folder "
                "writable; then the same command resumes the training from its last whole checkpoint."
            ) from error

    def clear(self) -> None:
        """Removes all checkpoints, unless the training is to go on later."""
        if not Path(self._folder, KEEP).exists():
            shutil.rmtree(self._folder, ignore_errors=True)
