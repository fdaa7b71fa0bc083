import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_ae
from keras_ae.models import mirror, pretrain_layerwise
from keras_ae.models.pretraining import _Batches


@keras.saving.register_keras_serializable("tests")
class Half(layers.Layer):
    """A corruption whose effect is known: sets every other element to 0."""

    def call(self, inputs, training=False):
        return inputs * pattern(inputs.shape[-1]) if training else inputs


def pattern(size):
    return np.arange(size, dtype="float32") % 2


def glorot(seed):
    return keras.initializers.GlorotUniform(seed=seed)


def small_stack(penalties=False):
    """20-8-5, with the same weights at every call."""
    first = layers.Dense(8, "sigmoid", kernel_initializer=glorot(1),
                         activity_regularizer="l2" if penalties else None)  # fmt: skip
    second = keras_ae.ContractiveDense(5, "tanh", kernel_initializer=glorot(2),
                                       contraction=0.05 if penalties else 0.0)  # fmt: skip
    return keras.Sequential([keras.Input((20,)), first, second])


def lower_stack():
    return keras.Sequential([keras.Input((20,)), small_stack().layers[0]])


def values(model):
    return [np.asarray(keras.ops.convert_to_numpy(w)) for w in model.weights]


def check_equal(ours, theirs, **tolerance):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 0, "atol": 0, **tolerance})


@pytest.fixture
def no_training(monkeypatch):
    def fit(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr(keras_ae.Autoencoder, "fit", fit)


def test_the_result_holds_the_stack_and_is_its_mirror(images):
    stack = small_stack()
    ids = [id(weight) for weight in stack.weights]
    model = pretrain_layerwise(stack, images, output_activation="softplus", epochs=1, verbose=0)
    assert type(model) is keras_ae.Autoencoder
    assert (model.encoder is stack, model.built, model.compiled) == (True, True, False)
    assert [id(weight) for weight in model.encoder.weights] == ids
    expected = mirror(stack, "softplus")
    for ours, theirs in zip(model.decoder.layers, expected.layers, strict=True):
        assert (ours.units, ours.activation) == (theirs.units, theirs.activation)
    assert len({id(w) for w in model.weights}) == len(model.weights) == 8


@pytest.mark.parametrize(
    ("penalties", "corruption"),
    [(False, [Half(), Half()]), (True, [None, Half()])],
    ids=["corruption", "penalties"],
)
def test_a_stage_is_a_shallow_autoencoder_trained_on_codes(images, penalties, corruption):
    """By hand with Keras alone, on codes computed with NumPy; one batch, so that order is moot."""
    model = pretrain_layerwise(
        small_stack(penalties), images, corruption=corruption, output_activation="sigmoid",
        optimizer=keras.optimizers.Adam(0.05), loss=["binary_crossentropy", "mse"],
        epochs=[3, 2], batch_size=64, verbose=0,
    )  # fmt: skip
    first, second = small_stack(penalties).layers
    clean = images
    for stage, (encoder, size, activation, loss, epochs) in enumerate(
        [(first, 20, "sigmoid", "binary_crossentropy", 3), (second, 8, "sigmoid", "mse", 2)]
    ):
        decoder = layers.Dense(size, activation, kernel_initializer=glorot(stage + 1))
        shallow = keras.Sequential([keras.Input((size,)), encoder, decoder])
        given = clean * pattern(size) if corruption[stage] is not None else clean
        shallow.compile(keras.optimizers.Adam(0.05), loss)
        shallow.fit(given, clean, epochs=epochs, batch_size=64, verbose=0)
        check_equal(values(model.encoder.layers[stage]), values(encoder), rtol=1e-4, atol=1e-5)
        check_equal(values(model.decoder.layers[-1 - stage]), values(decoder), rtol=1e-4, atol=1e-5)
        clean = 1 / (1 + np.exp(-(clean @ np.asarray(encoder.kernel) + np.asarray(encoder.bias))))


def test_a_stage_leaves_those_below_alone(images):
    whole = pretrain_layerwise(small_stack(), images, batch_size=64, epochs=[2, 4], verbose=0)
    alone = pretrain_layerwise(lower_stack(), images, batch_size=64, epochs=2, verbose=0)
    check_equal(values(whole.encoder.layers[0]), values(alone.encoder), atol=1e-6)
    check_equal(values(whole.decoder.layers[1]), values(alone.decoder), atol=1e-6)


def test_frozen_layers_stay_frozen(images):
    stack = small_stack()
    stack.layers[0].trainable = False
    before = values(stack.layers[0])
    pretrain_layerwise(stack, images, epochs=1, verbose=0)
    check_equal(values(stack.layers[0]), before)


def test_batches_hold_every_example_once_in_an_order_of_the_epoch():
    x = np.arange(10)[:, None]
    batches = _Batches(x, 4, [3, 1])
    orders = []
    for epoch in (0, 1, 0):
        batches.begin(epoch)
        assert [len(batches[i][0]) for i in range(len(batches))] == [4, 4, 2]
        orders.append(np.concatenate([batches[i][0] for i in range(3)]).ravel().tolist())
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] == orders[2] != orders[1]
    other = _Batches(x, 4, [3, 2])
    assert np.concatenate([other[i][0] for i in range(3)]).ravel().tolist() != orders[0]


def test_each_epoch_has_its_order(images, monkeypatch):
    begun, begin = [], _Batches.begin

    def record(self, epoch):
        begun.append(epoch)
        begin(self, epoch)

    monkeypatch.setattr(_Batches, "begin", record)
    pretrain_layerwise(lower_stack(), images, epochs=3, verbose=0)
    assert begun[-3:] == [0, 1, 2]


def test_seeds_of_keras_make_it_reproducible(images):
    results = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = pretrain_layerwise(lower_stack(), images, epochs=1, batch_size=8, verbose=0)
        results.append(values(model))
    check_equal(results[0], results[1])
    assert np.abs(results[0][0] - results[2][0]).max() > 1e-5


def test_the_optimizer_given_is_a_pattern(images):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.5)
    pretrain_layerwise(lower_stack(), images, optimizer=optimizer, epochs=1, verbose=0)
    assert (optimizer.built, int(optimizer.iterations)) == (False, 0)


def test_integers_are_data_too(images):
    results = []
    whole = (images * 10).astype("uint8")
    for dtype in ("uint8", "float64"):
        x = whole.astype(dtype)
        results.append(pretrain_layerwise(lower_stack(), x, epochs=1, batch_size=64, verbose=0))
    check_equal(*map(values, results), atol=1e-5)


def test_says_which_stage_it_trains(images, capsys):
    pretrain_layerwise(small_stack(), images, epochs=2, verbose=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Stage")]
    assert len(lines) == 2
    assert lines[0].startswith("Stage 1 of 2: dense")
    assert lines[1].endswith(": (8,) to (5,)")
    pretrain_layerwise(lower_stack(), images, epochs=1, verbose=0)
    assert not capsys.readouterr().out


def convolutional_stack():
    return keras.Sequential(
        [
            keras.Input((7, 6, 1)),
            layers.Dropout(0.1),
            layers.Conv2D(3, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            keras_ae.Contractive(
                layers.Conv2D(4, 2, activation="tanh"),
                keras_ae.ContractiveRegularizer(0.01, estimator="hutchinson"),
            ),
            layers.Flatten(),
            layers.Dense(4),
            layers.Activation("sigmoid"),
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )


def test_the_result_is_tuned_and_saved_like_any_model(images, tmp_path):
    model = pretrain_layerwise(small_stack(penalties=True), images, epochs=1, verbose=0)
    for jit_compile in (True, False):
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
        losses = model.fit(images, epochs=8, batch_size=32, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.reconstruct(images), model.reconstruct(images), rtol=1e-5)


def test_a_stage_is_a_kernel_with_what_follows_and_ends_as_its_codes_do(tmp_path):
    x = np.random.default_rng(0).random((8, 7, 6, 1)).astype("float32")
    model = pretrain_layerwise(
        convolutional_stack(), x, output_activation="sigmoid", epochs=1, verbose=0
    )
    found = [
        (type(layer).__name__, getattr(activation, "__name__", type(activation).__name__))
        for layer in model.decoder.layers
        for activation in [getattr(layer, "activation", None)]
    ]
    assert found == [
        ("Dense", "linear"),  # Codes that batch normalization made have no range of their own.
        ("Dense", "tanh"),
        ("Reshape", "NoneType"),
        ("Conv2DTranspose", "ReLU"),
        ("UpSampling2D", "NoneType"),
        ("ZeroPadding2D", "NoneType"),
        ("Conv2DTranspose", "sigmoid"),
    ]
    assert model.reconstruct(x).shape == x.shape
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.reconstruct(x), model.reconstruct(x), rtol=1e-5)


class InterruptionError(Exception):
    pass


def interrupt(hook, after, call, *args, **kwargs):
    """Make a call, and stop its training in a hook of Keras after so many, as Ctrl-C would."""
    ended = getattr(keras.callbacks.CallbackList, hook)
    count = 0

    def end(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count > after:
            raise InterruptionError
        return ended(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.callbacks.CallbackList, hook, end)
        with pytest.raises(InterruptionError):
            call(*args, **kwargs)


def noisy_stack():
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.Activation("sigmoid"),
            layers.Dropout(0.2),
            layers.Dense(5),
        ]
    )


def pretrain_noisy(images, backup_dir=None):
    noise = [keras_ae.MaskingCorruption(0.3), keras_ae.GaussianCorruption(0.1)]
    return pretrain_layerwise(
        noisy_stack(),
        images,
        corruption=keras.Sequential(noise),
        epochs=[3, 2],
        optimizer=keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.9),
        batch_size=16,
        backup_dir=backup_dir,
        verbose=0,
    )


@pytest.fixture(scope="module")
def uninterrupted(images):
    """The weights of a training without interruption, by policy."""
    results = {}
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(5)
        results[policy] = values(pretrain_noisy(images))
    keras.config.set_dtype_policy("float32")
    return results


# Of 4 batches an epoch: in the second epoch, after the last batch of the third, before the first
# stage is written for good, and in the second epoch of the second stage.
@pytest.mark.parametrize(
    ("policy", "hook", "after"),
    [
        ("float32", "on_train_batch_end", 6),
        ("float32", "on_train_batch_end", 11),
        ("float32", "on_train_end", 0),
        ("mixed_float16", "on_train_batch_end", 18),
    ],
)
def test_goes_on_where_it_was_interrupted(images, uninterrupted, policy, hook, after, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(5)
        interrupt(hook, after, pretrain_noisy, images, tmp_path / "new" / "backup")
        # Initial weights, order and noise are of the backup, whatever the seeds are now.
        keras.utils.set_random_seed(99)
        model = pretrain_noisy(images, tmp_path / "new" / "backup")
    finally:
        keras.config.set_dtype_policy("float32")
    check_equal(values(model), uninterrupted[policy], rtol=1e-5, atol=1e-6)


def test_goes_on_with_what_is_left_to_do(images, tmp_path, capsys):
    arguments = {"epochs": [3, 2], "batch_size": 16, "backup_dir": tmp_path, "verbose": 2}
    interrupt(
        "on_train_batch_end", 12 + 4 + 2, pretrain_layerwise, small_stack(), images, **arguments
    )
    capsys.readouterr()
    pretrain_layerwise(small_stack(), images, **arguments)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[-1] for line in lines if line.startswith("Stage")] == [
        " 3 of 3 epochs from the backup",
        " 1 of 2 epochs from the backup",
    ]
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 2/2"]


def test_a_finished_backup_is_not_trained_again(images, tmp_path, monkeypatch):
    first = pretrain_layerwise(small_stack(), images, epochs=1, backup_dir=tmp_path, verbose=0)
    monkeypatch.setattr(keras_ae.Autoencoder, "fit", None)
    again = pretrain_layerwise(small_stack(), images, epochs=1, backup_dir=tmp_path, verbose=0)
    check_equal(values(again), values(first))


def test_a_backup_takes_no_seeds(images, tmp_path):
    """With a folder the result is what it is without."""
    results = []
    for folder in (None, tmp_path):
        keras.utils.set_random_seed(3)
        model = pretrain_layerwise(
            lower_stack(), images, epochs=1, batch_size=8, backup_dir=folder, verbose=0
        )
        results.append(values(model))
    check_equal(*results)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"stack": small_stack(penalties=True)}, "stack"),
        ({"stack": noisy_stack()}, "stack"),
        ({"epochs": [1, 2]}, "epochs"),
        ({"batch_size": 16}, "batch_size"),
        ({"optimizer": keras.optimizers.Adam(0.5)}, "optimizer"),
        ({"loss": "mae"}, "loss"),
        ({"output_activation": "sigmoid"}, "output_activation"),
        ({"corruption": [None, Half()]}, "corruption"),
        ({"x": np.zeros((64, 20), "float32"), "loss": ["mse", "mae"]}, "x, loss"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_the_backup_of_another_call(images, tmp_path, no_training, changes, named):
    call = {"stack": small_stack(), "x": images, "epochs": 1, "backup_dir": tmp_path, "verbose": 0}
    with pytest.raises(AssertionError, match="training began"):
        pretrain_layerwise(**call)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    message = rf"backup_dir must be empty or .* Received: backup_dir=.* with another {named}$"
    with pytest.raises(ValueError, match=message):
        pretrain_layerwise(**{**call, **changes})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"format": "other"})])
def test_refuses_an_index_that_is_not_its_own(images, tmp_path, no_training, content):
    (tmp_path / "pretraining.json").write_text(content)
    with pytest.raises(ValueError, match=r"backup_dir must hold a backup .*pretraining\.json \("):
        pretrain_layerwise(small_stack(), images, backup_dir=tmp_path, verbose=0)


@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "other"])
def test_refuses_a_damaged_backup(images, tmp_path, no_training, damage):
    with pytest.raises(AssertionError, match="training began"):
        pretrain_layerwise(small_stack(), images, backup_dir=tmp_path, verbose=0)
    path = tmp_path / "stage_1.npz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes((tmp_path / "stage_2.npz").read_bytes())
    with pytest.raises(ValueError, match=r"backup_dir must hold a backup .*stage_1\.npz \("):
        pretrain_layerwise(small_stack(), images, backup_dir=tmp_path, verbose=0)


def test_refuses_a_folder_that_is_a_file(images, tmp_path, no_training):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="backup_dir must be a folder"):
        pretrain_layerwise(small_stack(), images, backup_dir=tmp_path / "file", verbose=0)


def test_refuses_to_go_on_after_a_stage_that_diverged(images):
    optimizer = keras.optimizers.SGD(1e38)
    with pytest.raises(
        ValueError, match=r"optimizer must train every stage .* after stage 1, dense"
    ):
        pretrain_layerwise(small_stack(), images * 100, optimizer=optimizer, verbose=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stack": keras.Sequential([layers.Dense(2)])}, "stack must be a Sequential or func"),
        ({"stack": layers.Dense(2)}, "stack must be a Sequential or functional model"),
        ({"stack": keras.Sequential([keras.Input((20,)), layers.Dense(2), layers.Rescaling(2)])},
         "An encoder to mirror must be a chain .* Received: <Rescaling"),
        ({"x": np.zeros((8, 19))}, r"x must have the shape \(None, 20\)"),
        ({"x": np.zeros((0, 20))}, "with at least one example"),
        ({"x": np.full((8, 20), np.nan)}, "x must be finite"),
        ({"corruption": 0.3}, "corruption must be a Keras layer, None or a list"),
        ({"corruption": [None]}, r"corruption must be one for all stages or a list of 2"),
        ({"corruption": [None, "noise"]}, "corruption must be a Keras layer, None or a list"),
        ({"optimizer": "odam"}, "odam"),
        ({"loss": "nse"}, "nse"),
        ({"loss": ["mse", None]}, "loss must be a Keras loss or a list.*loss=None"),
        ({"loss": ["mse", "mse", "mse"]}, "loss must be one for all stages or a list of 2"),
        ({"epochs": 0}, "epochs must be an integer >= 1"),
        ({"epochs": [1, 0.5]}, "epochs must be an integer >= 1"),
        ({"epochs": [1]}, "epochs must be one for all stages or a list of 2"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1"),
    ],
)  # fmt: skip
def test_refuses_before_any_training(images, no_training, changes, message):
    with pytest.raises(ValueError, match=message):
        pretrain_layerwise(**{"stack": small_stack(), "x": images, "verbose": 0, **changes})
