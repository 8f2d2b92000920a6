"""Serving: the contract of the SavedModel, a client, and a local server.

Import what you need from its own module. The modules differ in what they cost:

- `serving.contract`: the signatures as data. Standard library only.
- `serving.client`: the gRPC client. grpcio and protobuf, never TensorFlow.
- `serving.server`: a local server that answers like TensorFlow Serving. Loads TensorFlow.
"""
