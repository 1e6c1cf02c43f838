"""The distribution `metaprior`: what `pip install` and Beam's `--setup_file` build."""

from setuptools import find_packages, setup

STACK = [
    "apache-beam==2.77.0",
    "keras==3.15.1",
    "ml-metadata==1.21.0",
    "tensorboard==2.21.0",
    "tensorflow==2.21.0",
    "tensorflow-data-validation==1.21.0",
    "tensorflow-probability==0.25.0",
    "tensorflow-serving-api==2.19.1",
    "tensorflow-transform==1.21.0",
    "tf-keras==2.21.0",
    "tfx==1.21.0",
]
LIBRARIES = [
    "aiohttp>=3.14",
    "click>=8",
    "docstring-parser>=0.15",
    "faiss-cpu>=1.10",
    "grpcio>=1.60",
    "grpcio-health-checking>=1.60",
    "jinja2>=3.1",
    "limits>=5",
    "numpy>=2",
    "optuna>=5",
    "orjson>=3.9",
    "pandas>=2",
    "pillow>=10",
    "plotly>=6",
    "prometheus-client>=0.21",
    "psutil>=5.9",
    "pyarrow>=14",
    "pydantic>=2.7",
    "pyyaml>=6",
    "requests>=2.31",
    "rich>=13",
    "scikit-learn==1.5.2",
    "scipy>=1.11,<1.18",  # scikit-learn 1.5.2 uses options that 1.18 removes
    "tenacity>=8.2",
    "threadpoolctl>=3",
    "typing-extensions>=4.10",
]
EXTRAS = {
    "kubeflow": ["tfx[kfp]==1.21.0"],
    "airflow": ["apache-airflow>=2.11,<3"],  # tfx[airflow] asks for MySQL's client, too, which has no wheel
    "dev": [
        "build",
        "hypothesis>=6.100",
        "kubernetes-validate>=1.30",
        "pyright[nodejs]>=1.1.380",
        "pytest>=8",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "ruff>=0.6",
    ],
}

setup(
    name="metaprior",
    version="0.1.0",
    description="From raw, mostly unlabelled data to a served, measured representation.",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=find_packages(
        include=["pipeline*", "components*", "models*", "serving*"],
    ),
    package_data={
        "components.report": ["templates/*"],
        "components.frontier": ["templates/*"],
        "serving.deploy": ["templates/**/*"],
    },
    install_requires=STACK + LIBRARIES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["metaprior=pipeline.cli:main"]},
)
