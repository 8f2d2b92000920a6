"""Hub modules of a few numbers, made on the fly, and broken photos."""

import io
import struct
import zlib

import numpy as np

BUCKETS = 7
SIZE = 8
made = []


def make_tiny(paths):
    """What a builder's `make` names: the length of a text. Each call is kept in `made`."""
    import tensorflow as tf

    class Tiny(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            return tf.cast(tf.strings.length(texts), tf.float32)[:, tf.newaxis]

    made.append(paths)
    return Tiny()


def write_text_module(folder):
    """A module that takes strings: `[batch]` to `[batch, 8]`, a length and a hash, never zero."""
    import tensorflow as tf

    class Text(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            length = tf.cast(tf.strings.length(texts), tf.float32)[:, tf.newaxis]
            hashed = tf.one_hot(tf.strings.to_hash_bucket_fast(texts, BUCKETS), BUCKETS)
            return tf.concat([length, hashed], axis=1)

    return _save(Text(), folder)


def write_image_module(folder, size=SIZE):
    """A module that takes photos of 8 x 8: the mean of each channel, plus 1, so never zero."""
    import tensorflow as tf

    class Photo(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32)])
        def __call__(self, images):
            return tf.reduce_mean(images, axis=(1, 2)) + 1.0

    return _save(Photo(), folder)


def write_bert_module(folder, pieces):
    """A module with a vocabulary: the mean id and the number of the pieces, under `default`."""
    import tensorflow as tf

    vocabulary = folder.parent / "vocabulary.txt"
    vocabulary.write_text("\n".join(pieces) + "\n", encoding="utf-8")

    class Bert(tf.Module):
        def __init__(self):
            super().__init__()
            self.vocab_file = tf.saved_model.Asset(str(vocabulary))
            self.do_lower_case = tf.Variable(True, trainable=False)

        @tf.function(
            input_signature=[
                {
                    name: tf.TensorSpec([None, None], tf.int32, name=name)
                    for name in ("input_word_ids", "input_mask", "input_type_ids")
                }
            ]
        )
        def __call__(self, inputs):
            count = tf.reduce_sum(inputs["input_mask"], axis=1, keepdims=True)
            total = tf.reduce_sum(inputs["input_word_ids"], axis=1, keepdims=True)
            default = tf.cast(tf.concat([total / count, tf.cast(count, tf.float64)], 1), tf.float32)
            return {"default": default, "sequence_output": inputs["input_word_ids"]}

    return _save(Bert(), folder)


def write_constant_module(folder, make):
    """A module that returns for strings what `make` makes of the batch size."""
    import tensorflow as tf

    class Constant(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            return make(tf.shape(texts)[0])

    return _save(Constant(), folder)


def _save(module, folder):
    import tensorflow as tf

    tf.saved_model.save(module, str(folder))
    return str(folder)


def make_photo(colour, size=(30, 20), kind="JPEG", **options):
    """The bytes of a photo of one colour."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new(options.pop("mode", "RGB"), size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def make_bomb(columns=10_000, rows=10_000):
    """A PNG of some bytes whose header promises 100 megapixels."""
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def make_noise(seed, size=(40, 40)):
    """The bytes of a photo that no other seed makes; large enough to be cut."""
    from PIL import Image

    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()
