"""The commands of `addrl`, one module each: `add_parser(subparsers)` and `run(options)`."""

from tfx_pipeline.commands import (
    evaluate,
    explain,
    presets,
    recommend,
    rollback,
    run,
    serve,
    status,
)

MODULES = (run, serve, recommend, explain, evaluate, status, rollback, presets)
