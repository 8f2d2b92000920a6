"""Package description: what is installed, what it needs, and the `addrl` command."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((ROOT / "addrl_keras" / "version.py").read_text(), VERSION)

# Ranges that are known to work together; requirements.lock fixes one exact set. tensorflow-hub,
# which loads the encoders, is absent on purpose: TFX brings it, but pins it below 0.16, which
# cannot be imported beside TensorFlow 2.21, and a range here that contradicts TFX's would leave pip
# without an answer. The lock overrides that pin; so install the lock first.
INSTALL_REQUIRES = [
    "apache-beam>=2.77,<3",
    "grpcio>=1.60",
    "jinja2>=3.1",
    "keras>=3.15,<4",
    "keras-rs>=0.4,<0.5",
    "matplotlib>=3.9",
    "ml-metadata>=1.21,<1.22",
    "numpy>=2.0,<3",
    "pandas>=2.2,<3",
    "pillow>=11",
    "protobuf>=6.33,<7",
    "pyarrow>=18,<19",
    "rich>=13",
    "scikit-learn>=1.5",
    "scipy>=1.13",
    "tensorboard>=2.20",
    "tensorflow>=2.21,<2.22",
    "tensorflow-data-validation>=1.21,<1.22",
    "tensorflow-model-analysis>=0.52,<0.53",
    "tensorflow-recommenders>=0.7.7,<0.8",
    "tensorflow-serving-api>=2.19,<2.20",
    "tensorflow-transform>=1.21,<1.22",
    "tf-keras>=2.21,<2.22",
    "tfx>=1.21,<1.22",
    "tfx-bsl>=1.21,<1.22",
    "tokenizers>=0.20,<1",
]
TEST_REQUIRES = ["hypothesis>=6", "pytest>=8", "pytest-timeout>=2"]
EXTRAS_REQUIRE = {
    "kubeflow": ["kfp>=2.16,<3; python_version < '3.12'"],
    "airflow": ["apache-airflow>=2.10,<3; python_version < '3.13'"],
    "test": TEST_REQUIRES,
    "dev": [*TEST_REQUIRES, "import-linter>=2", "mypy>=1.11", "ruff>=0.6"],
}

setup(
    name="addrl",
    version=VERSION["__version__"],
    description="Attribute-driven disentangled recommendation: Keras 3, TFX, TensorFlow Serving",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    # A package_dir of one entry makes an editable install a plain path entry, which mypy and
    # editors understand and which sees packages that are added later.
    package_dir={"": "."},
    # schema/ is data that the pipeline reads beside its own folder.
    packages=[*find_packages(include=["addrl_keras*", "tfx_pipeline*", "serving*"]), "schema"],
    package_data={
        "schema": ["*.pbtxt", "*/*.pbtxt"],
        "serving": ["*.config", "*.txt"],
        "tfx_pipeline.report": ["*.j2"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["addrl = tfx_pipeline.cli:main"]},
)
