"""Hydra command lines as people publish them: the jobs of its own sweeper are our points."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser

from raysearch.imports.hydra_line import read_hydra
from raysearch.imports.imported_sweep import ImportedSweep
from raysearch.imports.writing import write_sweep
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, Sweep
from tests.raysearch.imports.tools import fields, hydra_jobs
from trainables.ssl.config import Supervised

MAPPED = {
    "lr": "optimizer.lr",
    "random_seed": "training.seed",
    "data": "data.name",
    "logger": "",
    "epochs": "training.epochs",
}
# Structures found in public repositories, with names and values of our own.
LINES = [
    # adap/flower, baselines/fedpara: a module, a named configuration, two words
    ("python -m reader.main --config-name small --multirun model.positions=learned,sine_cosine", 2),
    # a latent-dynamics project: environment, constants of all kinds, two lists
    (
        "CUDA_VISIBLE_DEVICES=0 python model_train.py --multirun data=digits random_seed=0 "
        "optimizer.nesterov=true optimizer.kind=sgd model.layers=1,3,5,10 lr=0.25,0.5,0.75,1",
        16,
    ),
    # a language-model project: one override a line
    (
        "uv run train.py --multirun \\\n  model.pool=mean \\\n  model.width=32,64 \\\n"
        "  model.heads=1,2,4 \\\n  model.layers=2,3,4",
        18,
    ),
    # a climate project's documentation
    ("python train.py -m lr=1e-3,5e-4,1e-4", 3),
    # a time-series template: a model and two lists of whole numbers
    ("python train.py -m optimizer.kind=adamw training.batch_size=16,32,64 model.width=32,64", 6),
    # Hydra's documentation of its grammar: range, choice, quoted words, spaces
    (
        "my_app.py -m 'model.layers=range(1,5)' 'model.pool=choice(mean, \"class_token\")' "
        "'label_smoothing=range(0,0.3,0.1)' logger=csv epochs=3",
        24,
    ),
    # a key that is given twice: the last one counts
    ("python train.py -m lr=1,2,3 model.layers=sort(3,1,2) lr=0.1,0.2", 6),
]


def sweep_of(imported: ImportedSweep) -> Sweep:
    source = write_sweep(imported, Supervised, Metric("val/loss", "minimize"))
    module: dict[str, Any] = {"__name__": "brought"}
    exec(source, module)
    return module[imported.name]


def overrides(line: str) -> list[str]:
    words = shlex.split(line.replace("\\\n", " "))
    return [word for word in words if "=" in word and not word.startswith("CUDA")]


@pytest.mark.parametrize(("line", "count"), LINES, ids=lambda value: str(value)[:40])
def test_a_line_has_the_jobs_that_hydra_launches(line: str, count: int) -> None:
    imported = read_hydra(line, fields(MAPPED))
    jobs = hydra_jobs(overrides(line))
    paths = {key: MAPPED.get(key, key) for key in jobs[0]}
    theirs = [{paths[key]: number(value) for key, value in job.items()} for job in jobs]
    ours = [
        {path: number(str(point.config.value_at(path))) for path in paths.values() if path}
        for point in Space(sweep_of(imported)).points()
    ]
    for job in theirs:
        job.pop("", None)
    assert len(ours) == len(jobs) == imported.points == count
    assert {repr(sorted(each.items())) for each in ours} == {
        repr(sorted(each.items())) for each in theirs
    }


def number(text: str) -> Any:
    try:
        return round(float(text), 12)
    except ValueError:
        return text.lower()


def test_an_interval_is_sampled_as_its_sweeper_would() -> None:
    # NVIDIA/DeepLearningExamples, its time-series platform: choices, a log interval, Optuna
    line = (
        "python launch_training.py -m 'model.heads=choice(1,2,4)' 'model.width=choice(32,64)' "
        "'lr=tag(log, interval(1e-5, 1e-2))' training.batch_size=16 hydra/sweeper=optuna "
        "hydra/sweeper/sampler=random hydra.sweeper.n_trials=16 hydra/launcher=joblib"
    )
    imported = read_hydra(line, fields(MAPPED))
    assert (imported.sampler, imported.trials, imported.points) == ("random", 16, None)
    assert any(note.startswith("hydra/launcher: left out") for note in imported.notes)
    parameters = Space(sweep_of(imported)).parameters()
    assert str(parameters["optimizer.lr"]) == "1e-05 … 0.01 (log)"
    assert str(parameters["model.heads"]) == "1 | 2 | 4"


def test_an_interval_of_integers_has_integers() -> None:
    # the documentation of Hydra's sweepers
    imported = read_hydra("-m 'model.layers=tag(log, int(interval(1, 8)))'", fields())
    assert str(Space(sweep_of(imported)).parameters()["model.layers"]) == "1 … 8 (log)"
    assert imported.sampler == "tpe" and "own sweeper cannot run an interval" in imported.notes[1]


def test_a_glob_has_the_files_that_hydra_finds(tmp_path: Path) -> None:
    group = tmp_path / "schedule"
    group.mkdir()
    for name in ("cosine", "constant", "linear", "coarse"):
        (group / f"{name}.yaml").write_text("x: 1\n")
    (group / "notes.txt").write_text("")
    text = "schedule=glob([co*],exclude=coa*)"
    loader = ConfigLoaderImpl(create_automatic_config_search_path(None, None, str(tmp_path)))
    [parsed] = OverridesParser.create(loader).parse_overrides([text])
    mapped = {"schedule": "schedule.kind"}
    [parameter] = read_hydra(f"app.py -m '{text}'", fields(mapped), tmp_path).parameters
    assert parameter.range is not None
    assert list(parameter.range.some()) == list(parsed.sweep_string_iterator())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python train.py -m optimiser.lr=1,2", "'optimiser.lr' (nearest: optimizer.lr)"),
        ("-m lr=1,2 layers=1,2", "'layers' (nearest: model.layers"),
        ("python train.py -m", "at least one override"),
        ("-m 'model.pool=glob(*)'", "model.pool is a glob"),
        ("-m ~model.pool", "~model.pool deletes"),
        ("-m model@x.y=a,b", "model@x.y puts a group"),
        ("-m lr=${a.b},1", "lr must be a value, got an interpolation"),
        ("-m model.layers=range(1,1)", "model.layers must have at least one value"),
        ("-m model.layers=range(1,9,0)", "step of range must not be 0"),
        ("-m 'model.layers=[1,2],[3]'", "model.layers must have strings, numbers"),
        ("-m 'lr=tag(log, interval(0, 1))'", "optimizer.lr must have low above 0"),
        ("-m 'lr=tag(log, range(1, 9))'", "the tag log must be on an interval"),
        ("-m 'lr=foo(1)'", "'lr=foo(1)' cannot be read: Unknown function 'foo'; Available: bool"),
        ("-m 'lr=(1'", "'lr=(1' cannot be read"),
        ("-m lr='1", "quoted as in a shell"),
        ("python a.py lr=1,2 more words", "'words' is none"),
        ("-m lr=1,true", "True and 1.0, which are equal here"),
        ("-m logger=a,b", "only a constant can be left out"),
        ("-m optimizer.kind=adam,sgd", "optimizer.kind must be"),
        ("-m lr=1,2 hydra/sweeper/sampler=motpe", "hydra/sweeper/sampler must be tpe"),
        ("-m lr=1,2 hydra.sweeper.n_trials=many", "hydra.sweeper.n_trials must be an integer"),
    ],
)
def test_what_cannot_be_is_refused_by_name(line: str, words: str) -> None:
    with pytest.raises((ValueError, LookupError)) as caught:
        read_hydra(line, fields(MAPPED))
    assert words in str(caught.value)
