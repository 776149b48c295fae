"""Declared estimators: each fits reproducibly, and rejects unsupported parameters with a message."""

import numpy as np
import pytest

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Estimator, EstimatorName, Feature, Metric, Task
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.gate.baseline import baseline_scores
from modelmonitor_trainer.model.columns import frame
from modelmonitor_trainer.model.environment import library_versions
from modelmonitor_trainer.model.estimators import ESTIMATORS, build, checked_parameters
from modelmonitor_trainer.model.pipeline import effective_parameters, fit
from modelmonitor_trainer.registry.model_files import TRUSTED_TYPES, dump_model, read_pipeline

FEATURES = [
    Feature(name="x", type="Numeric"),
    Feature(name="gap", type="Numeric"),
    Feature(name="kind", type="Categorical"),
    Feature(name="empty", type="Numeric"),
    Feature(name="nothing", type="Categorical"),
]
ROWS = 300


def estimator(name="HistGradientBoostingClassifier", preprocessing=None, **parameters):
    small = {"max_iter": "10"} if name.startswith("Hist") else {"n_estimators": "5"} if "Forest" in name else {}
    values = [{"name": key, "value": str(value)} for key, value in (small | parameters).items()]
    return parse(Estimator, {"name": name, "parameters": values, "preprocessing": preprocessing or {}})


def rows(seed=0, count=ROWS, *, gaps=True):
    g = np.random.default_rng(seed)
    x = g.normal(size=count)
    kind = g.choice(["a", "b", "c", "rare"], count, p=[0.5, 0.3, 0.19, 0.01]).astype(object)
    gap = np.where(g.random(count) < 0.2, np.nan, g.normal(size=count)) if gaps else g.normal(size=count)
    kind[g.random(count) < 0.1] = None
    return {
        "x": x,
        "gap": gap,
        "kind": kind,
        "empty": np.full(count, np.nan),
        "nothing": np.full(count, None, dtype=object),
    }


def truth_of(arrays, task):
    signal = arrays["x"] + np.where(arrays["kind"] == "a", 1.0, 0.0)
    if task is Task.REGRESSION:
        return signal
    if task is Task.BINARY_CLASSIFICATION:
        return (signal > 0.5).astype(int)
    return np.digitize(signal, [0.0, 1.0])


def fitted(declared, task, seed=0, arrays=None):
    arrays = rows() if arrays is None else arrays
    classes = {Task.BINARY_CLASSIFICATION: ("0", "1"), Task.MULTICLASS_CLASSIFICATION: ("a", "b", "c")}.get(task, ())
    return fit(declared, FEATURES, task, arrays, truth_of(arrays, task), classes, seed=seed)


LINEAR = {
    EstimatorName.LOGISTIC_REGRESSION,
    EstimatorName.RIDGE,
    EstimatorName.SGD_CLASSIFIER,
    EstimatorName.SGD_REGRESSOR,
}
EVERY = [
    (name, task, steps)
    for name in EstimatorName
    for task in (
        [Task.BINARY_CLASSIFICATION, Task.MULTICLASS_CLASSIFICATION] if name.is_classifier else [Task.REGRESSION]
    )
    for steps in (
        {"numericImputation": "Median"},
        {"numericImputation": "Mean", "scaling": "Standard", "categoricalEncoding": "OneHot"},
        {"scaling": "Standard", "maxCategories": 3},
    )
    if steps.get("numericImputation") or name not in LINEAR
]


@pytest.mark.parametrize(("name", "task", "steps"), EVERY)
def test_every_estimator_learns_is_stored_and_is_reproducible(name, task, steps):
    model = fitted(estimator(name.value, steps), task)
    later = rows(1)
    later["kind"][:5] = "never seen"
    scores = model.scores(later)
    assert scores.shape == ((ROWS, 3) if task is Task.MULTICLASS_CLASSIFICATION else (ROWS,))
    assert np.isfinite(scores).all()
    truth = truth_of(later, task)
    if task is Task.REGRESSION:
        assert np.corrcoef(scores, truth)[0, 1] > 0.8
    elif task is Task.BINARY_CLASSIFICATION:
        assert np.mean((scores > 0.5) == truth) > 0.75
        assert ((scores >= 0) & (scores <= 1)).all()
    else:
        assert np.mean(scores.argmax(axis=1) == truth) > 0.6
    assert model.ignored == ("empty", "nothing")
    again = fitted(estimator(name.value, steps), task)
    assert again.scores(later).tobytes() == scores.tobytes(), "the same rows, parameters and seed: the same bits"
    stored = read_pipeline(dump_model(model))
    assert type(model)(stored, model.features, task, model.classes).scores(later).tobytes() == scores.tobytes()
    assert library_versions()["scikit-learn"]


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "quantile", "gamma"])
def test_models_with_any_loss_can_be_read_again(loss):
    more = {"quantile": "0.5"} if loss == "quantile" else {}
    arrays = rows()
    declared = estimator("HistGradientBoostingRegressor", loss=loss, **more)
    model = fit(declared, FEATURES, Task.REGRESSION, arrays, np.exp(arrays["x"]), (), seed=0)
    stored = read_pipeline(dump_model(model))
    assert (stored.predict(frame(arrays, FEATURES)) == model.scores(arrays)).all()


def test_another_seed_is_another_model():
    later = rows(1)
    forest = estimator("RandomForestClassifier")
    first, second = (fitted(forest, Task.BINARY_CLASSIFICATION, seed=seed).scores(later) for seed in (0, 1))
    assert (first != second).any()


def test_threads_do_not_change_a_forest():
    later = rows(1)
    alone = fitted(estimator("RandomForestClassifier"), Task.BINARY_CLASSIFICATION)
    threads = fitted(estimator("RandomForestClassifier", n_jobs=2), Task.BINARY_CLASSIFICATION)
    assert threads.scores(later).tobytes() == alone.scores(later).tobytes()
    assert threads.pipeline["model"].n_jobs is None


def test_boosting_receives_the_categorical_columns():
    pipeline = build(estimator(), FEATURES[:3], seed=0)
    assert pipeline["model"].categorical_features == [2]
    one_hot = build(estimator(preprocessing={"categoricalEncoding": "OneHot"}), FEATURES[:3], seed=0)
    assert one_hot["model"].categorical_features is None


def test_effective_parameters_are_plain_and_complete():
    model = fitted(estimator(learning_rate=0.2), Task.BINARY_CLASSIFICATION)
    parameters = effective_parameters(model)
    assert (parameters["learning_rate"], parameters["max_iter"], parameters["random_state"]) == (0.2, 10, 0)
    assert parameters["l2_regularization"] == 0.0


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (estimator(n_trees=3), ["n_trees", "HistGradientBoostingClassifier", "max_iter"]),
        (estimator(random_state=3), ["random_state", "retraining.randomSeed"]),
        (estimator(class_weight="balanced"), ["class_weight", "classWeights"]),
        (estimator(warm_start="true"), ["warm_start", "retraining.strategy"]),
        (estimator(categorical_features="[0]"), ["categorical_features"]),
        (estimator(learning_rate="fast"), ["learning_rate", "fast"]),
        (estimator(max_bins=20), ["maxCategories", "max_bins"]),
        (estimator("LogisticRegression", max_iter="-1"), ["'max_iter'"]),
    ],
)
def test_parameters_that_cannot_be_used(declared, words):
    with pytest.raises(BadConfiguration) as raised:
        build(declared, FEATURES[:3], seed=0)
    for word in words:
        assert word in str(raised.value)


def test_parameters_are_json_or_text():
    declared = estimator("RandomForestClassifier", max_features="sqrt", bootstrap="true", max_depth="null")
    assert checked_parameters(declared) == {
        "n_estimators": 5,
        "max_features": "sqrt",
        "bootstrap": True,
        "max_depth": None,
    }


def test_incompatible_parameters_are_reported_with_the_message_of_the_library():
    declared = estimator("LogisticRegression", {"numericImputation": "Median"}, solver="lbfgs", l1_ratio=1)
    with pytest.raises(BadConfiguration, match="LogisticRegression cannot be fitted"):
        fitted(declared, Task.BINARY_CLASSIFICATION)


def test_missing_numbers_where_the_estimator_takes_none():
    with pytest.raises(BadData, match=r"gap \(\d+ rows\).*numericImputation"):
        fitted(estimator("LogisticRegression"), Task.BINARY_CLASSIFICATION)
    model = fitted(estimator("LogisticRegression"), Task.BINARY_CLASSIFICATION, arrays=rows(gaps=False))
    with pytest.raises(BadData, match="numericImputation"):
        model.scores(rows(1))


def test_infinities_are_missing_numbers():
    arrays = rows()
    arrays["gap"][:3] = [np.inf, -np.inf, np.inf]
    model = fitted(estimator(), Task.BINARY_CLASSIFICATION, arrays=arrays)
    assert np.isfinite(model.scores(arrays)).all()


def test_a_fit_that_does_not_converge_is_noted():
    declared = estimator("LogisticRegression", {"numericImputation": "Median"}, max_iter=1)
    assert any("converge" in note for note in fitted(declared, Task.BINARY_CLASSIFICATION).notes)


def test_features_without_any_value():
    nothing = {name: np.full(10, None if name in {"kind", "nothing"} else np.nan) for name in rows(0, 1)}
    with pytest.raises(BadData, match="no feature has any value"):
        fit(estimator(), FEATURES, Task.BINARY_CLASSIFICATION, nothing, np.arange(10) % 2, ("0", "1"), seed=0)


def test_scores_of_no_rows_are_empty():
    model = fitted(estimator(), Task.MULTICLASS_CLASSIFICATION)
    assert model.scores(rows(0, 0)).shape == (0, 3)


def test_the_allow_list_is_of_scikit_learn():
    assert set(ESTIMATORS) == set(EstimatorName)
    assert all(kind.__module__.startswith("sklearn.") for kind in ESTIMATORS.values())
    assert all(name.split(".")[0] in {"sklearn", "numpy", "functools"} for name in TRUSTED_TYPES)


def test_the_baseline():
    truth = np.array([0, 0, 0, 1])
    assert baseline_scores(Metric.ROC_AUC, Task.BINARY_CLASSIFICATION, truth, 2, 2).tolist() == [0.25, 0.25]
    several = baseline_scores(Metric.ACCURACY, Task.MULTICLASS_CLASSIFICATION, truth, 3, 2)
    assert several.tolist() == [[0.75, 0.25, 0.0]] * 2
    values = np.array([0.0, 1.0, 8.0])
    assert baseline_scores(Metric.MEAN_ABSOLUTE_ERROR, Task.REGRESSION, values, 0, 1).tolist() == [1.0]
    assert baseline_scores(Metric.R2, Task.REGRESSION, values, 0, 1).tolist() == [3.0]


@pytest.mark.parametrize("method", ["Sigmoid", "Isotonic"])
@pytest.mark.parametrize("task", [Task.BINARY_CLASSIFICATION, Task.MULTICLASS_CLASSIFICATION])
@pytest.mark.parametrize("name", ["HistGradientBoostingClassifier", "RandomForestClassifier", "LogisticRegression"])
def test_calibrated_models_are_stored_and_reproducible(name, task, method):
    declared = parse(
        Estimator,
        {
            "name": name,
            "parameters": [{"name": "n_estimators", "value": "5"}] if "Forest" in name else [],
            "preprocessing": {"numericImputation": "Median"},
            "calibration": method,
        },
    )
    model, again = fitted(declared, task), fitted(declared, task)
    later = rows(1)
    scores = model.scores(later)
    assert again.scores(later).tobytes() == scores.tobytes()
    stored = read_pipeline(dump_model(model))
    assert type(model)(stored, model.features, task, model.classes).scores(later).tobytes() == scores.tobytes()
    assert effective_parameters(model)


def test_calibration_makes_probabilities_of_the_scores_of_a_balanced_model():
    g = np.random.default_rng(0)
    x = g.normal(size=4000)
    truth = (g.random(4000) < 0.08 * np.exp(x) / (1 + 0.08 * np.exp(x))).astype(int)
    features = [Feature(name="x", type="Numeric")]

    def mean(**more):
        declared = parse(Estimator, {"name": "LogisticRegression", **more})
        days = np.arange(4000) // 100
        model = fit(declared, features, Task.BINARY_CLASSIFICATION, {"x": x}, truth, ("0", "1"), seed=0, days=days)
        return model.scores({"x": x}).mean()

    share = truth.mean()
    assert abs(mean() - share) < 0.01
    assert mean(classWeights="Balanced") > 3 * share, "a rare class counts as much as the other"
    assert abs(mean(classWeights="Balanced", calibration="Sigmoid") - share) < 0.03


def test_calibration_by_days_that_lack_a_class():
    arrays = rows()
    truth = truth_of(arrays, Task.BINARY_CLASSIFICATION)
    truth[240:] = 0
    declared = parse(Estimator, {"name": "HistGradientBoostingClassifier", "calibration": "Sigmoid"})
    with pytest.raises(BadData, match=r"lack 1 of 2 classes.*calibration to None"):
        fit(declared, FEATURES, Task.BINARY_CLASSIFICATION, arrays, truth, ("0", "1"), seed=0)


@pytest.mark.parametrize("task", list(Task))
def test_target_encoding_of_many_categories(task):
    """A category's number is its mean outcome, and unknown ones get the mean of all."""
    g = np.random.default_rng(0)
    level = {f"c{index}": g.normal() for index in range(300)}

    def drawn(seed, count=6000):
        h = np.random.default_rng(seed)
        kind = h.choice(list(level), count).astype(object)
        signal = np.array([level[name] for name in kind]) + 0.3 * h.normal(size=count)
        kind[:20] = None
        return {"kind": kind}, signal

    features = [Feature(name="kind", type="Categorical")]
    name = "Ridge" if task is Task.REGRESSION else "LogisticRegression"
    declared = parse(Estimator, {"name": name, "preprocessing": {"categoricalEncoding": "Target"}})
    arrays, signal = drawn(1)
    cuts = {Task.BINARY_CLASSIFICATION: [0.0], Task.MULTICLASS_CLASSIFICATION: [-0.5, 0.5]}
    # A regression of whole numbers is still one, not classes.
    truth = np.round(3 * signal) if task is Task.REGRESSION else np.digitize(signal, cuts[task])
    classes = {Task.BINARY_CLASSIFICATION: ("0", "1"), Task.MULTICLASS_CLASSIFICATION: ("a", "b", "c")}.get(task, ())
    model = fit(declared, features, task, arrays, truth, classes, seed=0)
    later, signal = drawn(2)
    later["kind"][-1] = "never seen"
    scores = model.scores(later)
    if task is Task.REGRESSION:
        assert np.corrcoef(scores, signal)[0, 1] > 0.9
        assert abs(scores[-1] - truth.mean()) < 0.2
    else:
        predicted = scores.argmax(axis=1) if scores.ndim == 2 else scores > 0.5
        assert np.mean(predicted == np.digitize(signal, cuts[task])) > 0.75
    stored = read_pipeline(dump_model(model))
    assert type(model)(stored, model.features, task, model.classes).scores(later).tobytes() == scores.tobytes()


def test_a_loss_without_probabilities_is_rejected():
    with pytest.raises(BadConfiguration, match="log_loss or modified_huber"):
        build(estimator("SGDClassifier", loss="hinge"), FEATURES[:3], seed=0)
    assert build(estimator("SGDClassifier"), FEATURES[:3], seed=0)["model"].loss == "log_loss"
