"""New items for a pushed model: `addrl index add`, from a table to a version, without training.

| module | holds |
|---|---|
| `about`, `extras` | what a version carries beside its graph, so that it alone can be given items |
| `known` | what a version knows, without TensorFlow |
| `columns`, `rows`, `table` | the columns that a file of new items may have; its rows; the file |
| `reading` | all of that, before anything heavy is loaded |
| `vectors`, `aligned` | the new items as the model sees them: encoded, transformed, named alike |
| `likeness` | which known items a new one is like |
| `steps`, `update` | the steps, and their order |
| `outcome` | what came of it |
"""
