"""A local server that answers like TensorFlow Serving, for laptops, tests and CI.

No package index holds the `tensorflow_model_server` binary, so this stands in for it where the
real one is not at hand. It is built on the servicer base classes of `tensorflow-serving-api`, loads
models by the V1 loader (as the C++ server does) and refuses what the C++ server refuses. A figure
measured here is never one of TensorFlow Serving.
"""
