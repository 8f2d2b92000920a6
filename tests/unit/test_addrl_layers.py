"""Layers and towers: closed forms, what they must be blind to, Keras conformance and messages."""

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from addrl_data import make_config
from keras_conformance import check_layer

from addrl_keras.layers.chunking import ChunkedProjection
from addrl_keras.layers.fusion import FusionAttention
from addrl_keras.layers.heads import ChunkClassifier, ValueHeads
from addrl_keras.model import AdDrl, ModelShape
from addrl_keras.towers import ItemTower, Memory, UserTower, compute_chunk_dims, history_scale


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class TestChunkedProjection:
    features = _normal(3, 7)

    def test_keras_conformance(self):
        check_layer(ChunkedProjection(3, 4, seed=1), [self.features])
        check_layer(ChunkedProjection(3, 4, seed=1, initial_scale=0.01), [self.features])

    def test_it_is_a_projection_of_the_normalised_feature_cut_in_order(self):
        layer = ChunkedProjection(3, 4)
        chunks = np.asarray(layer(self.features))
        unit = self.features / np.linalg.norm(self.features, axis=1, keepdims=True)
        expected = (unit @ layer.kernel.numpy()).reshape(3, 3, 4)
        np.testing.assert_allclose(chunks, expected, atol=1e-6)
        np.testing.assert_allclose(layer(100.0 * self.features), chunks, atol=1e-6)

    def test_a_missing_modality_has_zero_chunks_and_spoils_no_gradient(self):
        layer = ChunkedProjection(2, 3)
        features = np.concatenate([0 * self.features[:1], self.features[1:]])
        with tf.GradientTape() as tape:
            chunks = layer(features)
            loss = tf.reduce_sum(chunks**2)
        assert not chunks[0].numpy().any()
        assert chunks[1].numpy().any()
        assert np.isfinite(tape.gradient(loss, layer.kernel.value)).all()

    def test_huge_features_stay_finite(self):
        assert np.isfinite(ChunkedProjection(2, 3)(1e15 * self.features)).all()

    def test_the_initial_scale_is_a_factor_of_the_kernel(self):
        layers = [ChunkedProjection(2, 3, initial_scale=scale, seed=1) for scale in (1.0, 0.01)]
        chunks = [np.asarray(layer(self.features)) for layer in layers]
        np.testing.assert_allclose(chunks[1], 0.01 * chunks[0], rtol=1e-5)
        with pytest.raises(ValueError, match=r"initial_scale .*Received: 0"):
            ChunkedProjection(2, 3, initial_scale=0)

    @pytest.mark.parametrize(("chunks", "dim"), [(0, 4), (3, 0)])
    def test_an_empty_shape_is_refused(self, chunks, dim):
        with pytest.raises(ValueError, match=f"num_chunks={chunks}, chunk_dim={dim}"):
            ChunkedProjection(chunks, dim)


class TestFusionAttention:
    chunks = _normal(4, 3, 2, 5)
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)

    def _layer(self, mode="attention"):
        layer = FusionAttention(mode, hidden_dim=6, seed=0)
        layer(self.chunks, self.present)
        if mode == "attention":
            layer.output_kernel.assign(3.0 * _normal(6, 3, seed=3))
        return layer

    @pytest.mark.parametrize("normalize", [True, False])
    @pytest.mark.parametrize("shared", [True, False])
    @pytest.mark.parametrize("mode", ["attention", "uniform"])
    def test_keras_conformance(self, mode, shared, normalize):
        layer = FusionAttention(mode, hidden_dim=6, seed=0, normalize=normalize, shared=shared)
        check_layer(layer, [self.chunks, self.present])

    def test_weights_add_up_and_absent_modalities_have_none(self):
        fused, weights = self._layer()(self.chunks, self.present)
        np.testing.assert_allclose(np.sum(weights, axis=-1)[:3], 1.0, atol=1e-6)
        mask = np.broadcast_to(self.present[:, None, :], weights.shape)
        assert (np.asarray(weights)[mask] > 0).all()
        assert not np.asarray(weights)[~mask].any()
        assert not np.asarray(fused)[3].any()

    def test_it_is_the_weighted_sum_of_normalised_chunks(self):
        fused, weights = self._layer()(self.chunks, self.present)
        unit = self.chunks / np.linalg.norm(self.chunks, axis=-1, keepdims=True)
        expected = np.einsum("bkm,bmkd->bkd", weights, unit)
        np.testing.assert_allclose(fused, expected, atol=1e-5)

    def test_without_normalising_a_chunk_counts_by_its_length(self):
        layer = FusionAttention("uniform", normalize=False)
        fused, _ = layer(self.chunks[:1], self.present[:1])
        np.testing.assert_allclose(fused[0], self.chunks[0].mean(axis=0), atol=1e-6)

    def test_one_softmax_lets_a_single_modality_take_all(self):
        layer = self._layer()
        layer.output_kernel.assign(1e4 * layer.output_kernel)
        _, weights = layer(self.chunks[:1], self.present[:1])
        assert np.max(weights) > 0.999

    def test_chunks_with_an_attention_of_their_own_are_fused_as_if_each_were_alone(self):
        layer = FusionAttention(hidden_dim=6, seed=0, shared=False)
        layer(self.chunks, self.present)
        layer.output_kernel.assign(3.0 * _normal(2, 6, 3, seed=3))
        fused, weights = layer(self.chunks, self.present)
        for k in range(2):
            alone = self._layer()
            for weight, whole in zip(alone.weights, layer.weights, strict=True):
                weight.assign(whole[k])
            expected = alone(self.chunks[:, :, k : k + 1], self.present)
            np.testing.assert_allclose(fused[:, k], expected[0][:, 0], atol=1e-5)
            np.testing.assert_allclose(weights[:, k], expected[1][:, 0], atol=1e-5)

    def test_weights_depend_on_the_chunk_and_on_the_item(self):
        _, weights = self._layer()(self.chunks, np.ones_like(self.present))
        weights = np.asarray(weights)
        assert np.ptp(weights, axis=0).max() > 0.1
        assert np.ptp(weights, axis=1).max() > 0.1

    def test_uniform_weights_are_equal_over_the_modalities_present(self):
        _, weights = self._layer("uniform")(self.chunks, self.present)
        expected = [[1 / 3] * 3, [0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]]
        np.testing.assert_allclose(weights[:, 0], expected, atol=1e-6)

    def test_a_single_modality_has_all_the_weight_where_it_is_present(self, recwarn):
        layer = FusionAttention(hidden_dim=6)
        _, weights = layer(self.chunks[:, :1], np.array([[1], [0], [1], [0]], bool))
        assert weights[:, 0, 0].numpy().tolist() == [1.0, 0.0, 1.0, 0.0]
        assert not [warning for warning in recwarn if "softmax" in str(warning.message)]

    def test_zero_and_huge_chunks_have_finite_gradients(self):
        layer = self._layer()
        for scale in (0.0, 1e12):
            x = tf.Variable(np.float32(scale) * self.chunks)
            with tf.GradientTape() as tape:
                fused, _ = layer(x, self.present)
                loss = tf.reduce_sum(fused**2)
            assert np.isfinite(tape.gradient(loss, x)).all()

    def test_an_unknown_mode_is_refused(self):
        with pytest.raises(ValueError, match=r"'attention' or 'uniform'\. Received: 'mean'"):
            FusionAttention("mean")
        with pytest.raises(ValueError, match=r"must be known .*Received: shape \(None, 3, None, 5"):
            FusionAttention().build((None, 3, None, 5))


class TestChunkClassifier:
    chunks = _normal(3, 4, 5)

    def test_keras_conformance(self):
        gradients = check_layer(ChunkClassifier(4, seed=0), [self.chunks])
        assert all(np.any(gradient) for gradient in gradients)

    def test_one_classifier_is_shared_by_the_chunks(self):
        layer = ChunkClassifier(4, seed=0)
        logits = np.asarray(layer(self.chunks))
        swapped = np.asarray(layer(self.chunks[:, ::-1]))
        np.testing.assert_allclose(swapped, logits[:, ::-1], atol=1e-6)
        assert sum(weight.shape == (5, 4) for weight in layer.trainable_variables) == 1

    def test_it_is_linear_after_a_leaky_relu(self):
        layer = ChunkClassifier(4, seed=0)
        logits = layer(self.chunks)
        kernel = next(w.numpy() for w in layer.weights if w.shape == (5, 4))
        hidden = np.where(self.chunks > 0, self.chunks, 0.2 * self.chunks)
        np.testing.assert_allclose(logits, hidden @ kernel, atol=1e-5)

    def test_dropout_acts_in_training_alone(self):
        layer = ChunkClassifier(4, dropout=0.5, seed=0)
        np.testing.assert_array_equal(layer(self.chunks), layer(self.chunks))
        assert np.any(layer(self.chunks, training=True) != layer(self.chunks))


class TestValueHeads:
    fused = _normal(3, 4, 5)

    def test_keras_conformance(self):
        gradients = check_layer(ValueHeads((2, 6, 3), seed=0), [self.fused])
        assert len(gradients) == 6
        assert all(np.any(gradient) for gradient in gradients)

    def test_a_head_sees_the_chunk_of_its_attribute_alone(self):
        layer = ValueHeads((2, 6, 3), seed=0)
        before = layer(self.fused)
        changed = self.fused.copy()
        changed[:, 1] += 1.0
        after = layer(changed)
        assert [x.shape[-1] for x in after] == [2, 6, 3]
        assert [bool(np.any(a != b)) for a, b in zip(after, before, strict=True)] == [
            False,
            True,
            False,
        ]

    def test_fewer_chunks_than_attributes_are_refused(self):
        with pytest.raises(ValueError, match="5 value heads need as many chunks"):
            ValueHeads((2,) * 5).build((None, 4, 5))


class TestUserTower:
    history = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]], np.float32)

    def _tower(self, num_users=0):
        tower = UserTower(4, 3, num_users)
        tower.query.assign(_normal(4, 3))
        return tower

    def test_a_user_is_the_scaled_sum_of_query_vectors(self):
        tower = self._tower()
        query = tower.query.numpy()
        expected = [query[[0, 1, 3]].sum(axis=0) / np.sqrt(3), np.zeros(3), query[2]]
        np.testing.assert_allclose(tower(self.history), expected, atol=1e-6)

    def test_an_embedding_is_added_for_known_users_alone(self):
        tower = self._tower(num_users=2)
        tower.embedding.assign([[1, 1, 1], [5, 5, 5]])
        plain = np.asarray(tower(self.history))
        with_users = np.asarray(tower(self.history, tf.constant([1, -1, 0])))
        np.testing.assert_allclose(with_users - plain, [[5] * 3, [0] * 3, [1] * 3], atol=1e-6)

    def test_the_scale_is_one_for_an_empty_history(self):
        np.testing.assert_allclose(history_scale(self.history), [[3**-0.5], [1.0], [1.0]])


class TestItemTower:
    def test_an_item_is_its_embedded_values_and_its_residual(self):
        tower = ItemTower(3, (2, 4), (2, 3), residual_dim=2, seed=0)
        parts = [np.eye(2)[[0, 1, 0]], _normal(3, 4)]
        embedding = _normal(4, 3, seed=1)
        for weight, value in zip(tower.distributions, parts, strict=True):
            weight.assign(value)
        tower.value_embeddings[1].assign(embedding)
        residual = tower.residual.numpy()
        expected = np.concatenate([parts[0], parts[1] @ embedding, residual], axis=1)
        np.testing.assert_allclose(tower(None), expected, atol=1e-6)

    def test_the_residual_alone_is_trained(self):
        tower = ItemTower(3, (2, 4), (2, 3), residual_dim=2)
        assert [weight.path for weight in tower.trainable_variables] == [tower.residual.path]


class TestMemory:
    def test_it_adds_the_weights_of_the_sources_in_the_history(self):
        memory = Memory(3, 2, dim=4)
        memory.source.assign([[1, 2], [0, 2], [0, 1]])
        memory.weight.assign([[1.0, 10.0], [2.0, 20.0], [3.0, -30.0]])
        history = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]], np.float32)
        expected = [[11 / 2**0.5, 20 / 2**0.5, -30 / 2**0.5], [0, 2, 3], [0, 0, 0]]
        np.testing.assert_allclose(memory(history), expected, rtol=1e-6)

    def test_sources_are_fixed_and_weights_are_trained(self):
        memory = Memory(3, 2, dim=4)
        assert [weight.path for weight in memory.trainable_variables] == [memory.weight.path]
        assert memory.source.dtype == "int64"


class TestAdDrl:
    shape = ModelShape(num_items=6, num_users=4, num_values=(3, 4, 9))

    def _model(self, **model):
        built = AdDrl(make_config(model=model), self.shape)
        generator = np.random.default_rng(0)
        for weight in built.weights:
            if weight.dtype == "float32":
                weight.assign(generator.standard_normal(weight.shape))
        if built.memory is not None:
            built.memory.source.assign([np.sort(generator.permutation(6)) for _ in range(6)])
        return built

    def test_a_score_is_a_sum_over_chunks(self):
        model = self._model()
        history = np.random.default_rng(1).integers(0, 2, (5, 6)).astype(np.float32)
        user, item = np.asarray(model.user_tower(history)), np.asarray(model.item_tower(None))
        borders = np.cumsum(model.chunk_dims)[:-1]
        pairs = zip(np.split(user, borders, 1), np.split(item, borders, 1), strict=True)
        expected = sum(u @ i.T for u, i in pairs) + np.asarray(model.memory(history))
        np.testing.assert_allclose(model({"history": history}), expected, rtol=1e-4, atol=1e-4)

    def test_chunks_are_no_wider_than_their_attribute(self):
        assert compute_chunk_dims(make_config(), (3, 4, 9)) == (3, 4, 6)
        assert self._model().chunk_dims == (3, 4, 6, 4)

    def test_scores_in_batches_are_the_same(self):
        import scipy.sparse

        model = self._model(user_embedding=True)
        history = np.random.default_rng(1).integers(0, 2, (7, 6)).astype(np.float32)
        users = np.array([0, 1, 2, 3, -1, 0, 1])
        csr = scipy.sparse.csr_matrix(history)
        whole = np.asarray(model({"history": history, "users": users}))
        np.testing.assert_allclose(model.compute_scores(csr, users, 3), whole, rtol=1e-5, atol=1e-5)
        without = model.compute_scores(csr, None, 3)
        np.testing.assert_allclose(without[4], whole[4], rtol=1e-5, atol=1e-5)
        assert np.abs(without[0] - whole[0]).max() > 0.1

    def test_it_survives_serialisation(self):
        model = self._model(user_embedding=True)
        data = keras.saving.serialize_keras_object(model)
        again = keras.saving.deserialize_keras_object(data)
        assert again.config == model.config
        assert again.shape == model.shape
        again.set_weights(model.get_weights())
        history = np.eye(6, dtype=np.float32)
        np.testing.assert_array_equal(again({"history": history}), model({"history": history}))

    @pytest.mark.parametrize("embedding", [False, True])
    def test_a_training_step_moves_exactly_the_trainable_weights(self, embedding):
        model = self._model(user_embedding=embedding)
        model.compile(optimizer=keras.optimizers.SGD(0.5))
        before = {weight.path: weight.numpy() for weight in model.weights}
        model.prepare_training(scipy.sparse.csr_matrix(np.ones((2, 6), np.float32)))
        items, lengths = np.array([0, 1, 2, 1, 3, 4, 5], np.int32), np.array([3, 4], np.int32)
        batch = {"items": items, "lengths": lengths, "users": np.array([0, 3], np.int32)}
        loss = model.train_step((batch,))["loss"]
        assert np.isfinite(loss)
        moved = {w.path for w in model.weights if np.any(w.numpy() != before[w.path])}
        expected = {model.user_tower.query.path, model.item_tower.residual.path}
        expected |= {model.memory.weight.path}
        if embedding:
            table = model.user_tower.embedding
            expected |= {table.path}
            assert np.any(table.numpy() != before[table.path], axis=1).tolist() == [
                True,
                False,
                False,
                True,
            ]
        assert moved == expected

    def test_a_shape_without_a_size_for_each_attribute_is_refused(self):
        with pytest.raises(ValueError, match=r"each of \['year', 'genre', 'brand'\].*\(3, 4\)"):
            AdDrl(make_config(), ModelShape(6, 4, (3, 4)))
