"""New items for a pushed model: `addrl index add`, from a table to a version, without training.

| module | holds |
|---|---|
| `about`, `extras` | what a version carries beside its graph, so that it alone can be given items |
| `columns`, `table` | the columns that a file of new items may have; the file |
| `vectors`, `aligned` | the new items as the model sees them: encoded, transformed, named alike |
| `likeness` | which known items a new one is like |
| `steps`, `update` | the steps, and their order |
| `outcome` | what came of it |
"""
