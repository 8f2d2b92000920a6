"""Local server: `python -m serving.server --model_base_path runs/small/serving`.

The flags are those of tensorflow_model_server, where it has them. What it does and does not do is
told in serving/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m serving.server", description=__doc__)
    add = parser.add_argument
    add("--model_name", default="addrl", help="name of the model in requests")
    add("--model_base_path", type=Path, help="folder with one numeric sub-folder a version")
    add("--model_config_file", type=Path, help="serve the models of this file instead")
    add("--host", default="127.0.0.1", help="address to bind; 0.0.0.0 to be seen from outside")
    add("--port", type=int, default=8500, help="port of gRPC; 0 picks a free one")
    add("--rest_api_port", type=int, default=8501, help="port of REST; 0 free, -1 no REST")
    add("--file_system_poll_wait_seconds", type=float, default=1.0, help="0 looks only once")
    add("--grpc_max_threads", type=int, default=8, help="threads that answer gRPC")
    add("--tensorflow_session_parallelism", type=int, default=0, help="threads; 0 lets TF choose")
    add("--enable_model_warmup", type=_parse_bool, default=True, help="replay warm-up requests")
    add("--drain_seconds", type=float, default=10.0, help="what requests get when stopping")
    add("--port_file", type=Path, help="write the ports to this file as JSON once ready")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server.

    Args:
        arguments: command line without the program's name; None for the process's own.

    Returns:
        Exit code: 0 after an orderly stop, 1 if it cannot serve, 2 for a wrong command line.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not options.model_config_file:
        if not options.model_base_path:
            parser.error("--model_base_path is needed, for example runs/PRESET/serving")
        if not options.model_base_path.is_dir():
            parser.error(
                f"--model_base_path is no folder. Received: {options.model_base_path}. "
                "Push a model first, with `addrl run PRESET`."
            )
    # Before the 10 s that TensorFlow takes to import, so that the mistake shows at once.
    for flag, port in (("--port", options.port), ("--rest_api_port", options.rest_api_port)):
        problem = _find_port_problem(options.host, flag, port)
        if problem:
            print(problem, file=sys.stderr)
            return 1
    # An entry point may set these; TensorFlow reads them when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    return _serve(options)


def _serve(options: argparse.Namespace) -> int:
    with _hold_stderr():
        import tensorflow as tf

        from serving.local.app import LocalServer, ServerOptions
        from serving.local.config import ModelSettings, load_model_config

    tf.get_logger().setLevel("ERROR")
    try:
        if options.model_config_file:
            models = load_model_config(options.model_config_file)
        else:
            models = [ModelSettings(options.model_name, options.model_base_path)]
        server = LocalServer(
            ServerOptions(
                models=models,
                host=options.host,
                port=options.port,
                rest_api_port=options.rest_api_port,
                poll_seconds=options.file_system_poll_wait_seconds,
                threads=options.grpc_max_threads,
                drain_seconds=options.drain_seconds,
                session_parallelism=options.tensorflow_session_parallelism,
                enable_warmup=options.enable_model_warmup,
                port_file=options.port_file,
            )
        )
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return server.run()


@contextlib.contextmanager
def _hold_stderr() -> Iterator[None]:
    """Keeps what native libraries print while they load, and shows it only if the import fails.

    TensorFlow looks for CUDA before its log level applies; on a machine without a GPU that would be
    the first thing a reader sees.
    """
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _find_port_problem(host: str, flag: str, port: int) -> str | None:
    """Returns one line if the port cannot be bound."""
    if port <= 0:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError, UnicodeError) as error:
            other = " (of `addrl serve`: --rest-port)" if flag == "--rest_api_port" else ""
            return (
                f"{flag}{other}: cannot listen on {host}:{port} ({error}). "
                "Stop what uses it, or pick another port (0 picks a free one)."
            )
    return None


def _parse_bool(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false. Received: {text!r}")


if __name__ == "__main__":
    sys.exit(main())
