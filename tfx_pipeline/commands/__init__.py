"""The commands of `addrl`, one module each: `add_parser(subparsers)` and `run(options)`."""

from tfx_pipeline.commands import (
    encoders,
    evaluate,
    explain,
    index,
    init,
    presets,
    profile,
    recommend,
    report,
    rollback,
    run,
    serve,
    status,
)

MODULES = (
    init,
    run,
    serve,
    recommend,
    explain,
    profile,
    evaluate,
    report,
    index,
    status,
    rollback,
    presets,
    encoders,
)
