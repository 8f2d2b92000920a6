"""Encoders by handle: contents of items to vectors, each distinct content once.

| module | holds |
|---|---|
| `building`, `minilm`, `efficientnet`, `weights` | local encoders, built out of packages |
| `handles`, `hub_module` | from a handle to a loaded module |
| `contents`, `preprocessing`, `images` | from a column to a module's input |
| `encode`, `items`, `vector_cache` | the Beam transforms, and what is kept between runs |
| `given` | vectors that a column gives |
| `report` | what items lack, and why |
"""
