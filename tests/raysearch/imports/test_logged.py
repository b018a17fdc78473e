"""What scripts log and print: names, directions, and patterns that read the printed lines."""

from __future__ import annotations

import ast
import re

import pytest

from raysearch.imports.logged import choose, logged_in, patterns_for
from raysearch.imports.printed import printed_lines
from raysearch.programs.readers.pattern import Patterns


def names(text: str) -> list[str]:
    return [f"{each.metric.direction} {each.metric.name}" for each in logged_in(ast.parse(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('wandb.log({"val/acc": a, "lr": b})', ["maximize val/acc"]),
        ("wandb.log(dict(loss=a, top1=b))", ["minimize loss", "maximize top1"]),
        ('m = {"mse": 1}\nm["iou"] = 2\nrun.log(m, step=3)', ["minimize mse", "maximize iou"]),
        ('writer.add_scalar("Loss/test", a, 1)', ["minimize Loss/test"]),
        (
            'self.log("valF1", a)\nself.log_dict({"val_wer": a})',
            ["maximize valF1", "minimize val_wer"],
        ),
        ('mlflow.log_metrics({"auc": 1}, step=2)', ["maximize auc"]),
        ('raysearch.report(epoch, {"val/loss": 1})', ["minimize val/loss"]),
        ('math.log(x)\nlogging.log(10, "loss")\nlogger.log("a")', []),
    ],
)
def test_names_that_loggers_are_given(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    ("names", "best"),
    [
        ("train/loss train/acc val/loss val/acc", "val/acc"),
        ("train_loss val_loss", "val_loss"),
        ("test_acc val_acc", "val_acc"),
        ("loss acc", "acc"),
        ("something loss", "loss"),
        ("train_acc test_loss", "test_loss"),
    ],
)
def test_a_held_out_score_is_searched_by(names: str, best: str) -> None:
    text = "wandb.log({" + ", ".join(f'"{name}": 1' for name in names.split()) + "})"
    assert choose(logged_in(ast.parse(text))).metric.name == best


PRINTED = [
    (
        'print("Train Epoch: {} [{}/{} ({:.0f}%)]\\tLoss: {:.6f}".format(e_, n, m, p, loss))',
        "Train Epoch: 3 [640/60000 (1%)]\tLoss: 0.123456",
        (3, {"loss": 0.123456}),
    ),
    (
        'print("\\nTest set: Average loss: {:.4f}, Accuracy: {}/{} ({:.0f}%)".format(l, c, n, p))',
        "Test set: Average loss: 0.0312, Accuracy: 9899/10000 (99%)",
        (None, {"test_average_loss": 0.0312, "test_accuracy": 99.0}),
    ),
    (
        'print(f"[{epoch + 1}/{epochs}] val_loss={loss:.4f} top1 {acc:>7.2f}%")',
        "[2/20] val_loss=0.5000 top1   93.25%",
        (2, {"val_loss": 0.5, "val_acc": 93.25}),
    ),
    (
        'print("epoch", epoch, "loss", float(loss), "acc", round(acc, 3))',
        "epoch 4 loss 1e-05 acc 0.75",
        (4, {"loss": 1e-5, "acc": 0.75}),
    ),
    (
        'print(f"epoch {e} loss {1 - acc:.4f} acc {acc:.4f}")',
        "epoch 4 loss 0.2500 acc 0.7500",
        (4, {"loss": 0.25, "acc": 0.75}),
    ),
    (
        'logger.info("step %d: val mIoU %.3f", step, val_miou)',
        "2026-01-01 INFO step 7: val mIoU 0.412",
        (7, {"val_miou": 0.412}),
    ),
    (
        'print("it %5d | psnr %.2f" % (it, psnr))',
        "it    12 | psnr 31.20",
        (12, {"psnr": 31.2}),
    ),
    (
        "print('acc: ' + str(results['acc']))",
        "acc: 0.5",
        (None, {"acc": 0.5}),
    ),
    (
        'print(f"loss (total): {loss:.2f} + {reg:.2f}")',
        "loss (total): nan + 1.00",
        (None, {"loss": float("nan")}),
    ),
    (
        'print(f"train_loss {loss} val_loss {val_loss}")',
        "train_loss 3.5 val_loss 0.25",
        (None, {"train_loss": 3.5, "val_loss": 0.25}),
    ),
    (
        'print("train loss %.3f, valid loss %.3f" % (loss, val_loss))',
        "train loss 3.500, valid loss 0.250",
        (None, {"train_loss": 3.5, "val_loss": 0.25}),
    ),
    (
        'print(f"train acc {acc} test acc {test_acc}")',
        "train acc 0.9 test acc 0.5",
        (None, {"train_acc": 0.9, "test_acc": 0.5}),
    ),
    (
        'print(f"loss {loss} eval_loss {eval_loss}")',
        "loss 3.5 eval_loss 0.25",
        (None, {"loss": 3.5, "eval_loss": 0.25}),
    ),
    (
        'print(f"loss {loss} val {vloss}")',
        "loss 3.5 val 0.25",
        (None, {"loss": 3.5, "val_loss": 0.25}),
    ),
    (
        'print(f"train loss {a} acc {b} | val loss {c} acc {d}")',
        "train loss 3.5 acc 0.9 | val loss 0.25 acc 0.5",
        (None, {"train_loss": 3.5, "acc": 0.9, "val_loss": 0.25, "val_acc": 0.5}),
    ),
    ("print(e, val_acc)", "12 0.5", (None, {"val_acc": 0.5})),
    (
        'print(f"{e}\\t{train_loss}\\t{val_loss}")',
        "12\t3.5\t0.25",
        (None, {"train_loss": 3.5, "val_loss": 0.25}),
    ),
    ('print(f"{e}: {val_acc}")', "12: 0.5", (None, {"val_acc": 0.5})),
    (
        'print(f"ppl {math.exp(val_loss):.2f} val_loss {val_loss:.3f}")',
        "ppl 1.28 val_loss 0.250",
        (None, {"ppl": 1.28, "val_loss": 0.25}),
    ),
    (
        'print("epoch", epoch, "val_acc", acc.item(), sep=" | ")',
        "epoch | 3 | val_acc | 0.5",
        (3, {"val_acc": 0.5}),
    ),
    (
        'print(f"val_acc {v} (best {best_acc})")',
        "val_acc 0.5 (best 0.75)",
        (None, {"val_acc": 0.5, "val_best_acc": 0.75}),
    ),
    (
        'console.print(f"[bold]val_acc[/bold] {acc:.2f}")',
        "val_acc 0.50",
        (None, {"val_acc": 0.5}),
    ),
    ('click.echo(f"val acc {acc}")', "val acc 0.5", (None, {"val_acc": 0.5})),
    ('accelerator.print("val acc", acc)', "val acc 0.5", (None, {"val_acc": 0.5})),
    ('tqdm.write(f"val acc {acc}")', "val acc 0.5", (None, {"val_acc": 0.5})),
    (
        'logger.info("step {} val acc {}", step, acc)',
        "12:01 | step 2 val acc 0.5",
        (2, {"val_acc": 0.5}),
    ),
]


@pytest.mark.parametrize(("text", "line", "expected"), PRINTED, ids=[each[1] for each in PRINTED])
def test_a_printed_line_is_read_by_its_pattern(
    text: str, line: str, expected: tuple[int | None, dict[str, float]]
) -> None:
    logged = logged_in(ast.parse(text.replace("e_,", "epoch,")))
    patterns = patterns_for(logged[0].metric.name, logged)
    [(step, numbers)] = Patterns(patterns).read(line)
    assert (step, list(numbers)) == (expected[0], list(expected[1]))
    assert str(list(numbers.values())) == str(list(expected[1].values()))


@pytest.mark.parametrize(
    "text",
    [
        'print("hello")',
        'print(f"epoch {epoch}")',
        "print(model)",
        'print("{".format(1))',
        'print("%d" % ())',
        'print("accuracy is fine")',
        # Values alone, which nothing tells apart from others.
        'logging.info(f"{e} {val_acc}")',
        "print(e, val_acc)\nprint(e, other)",
        "print('val_acc', val_acc, sep=between)",
        "print(1 / loss)",
        'print(f"train/val loss {a} {b}")',
    ],
)
def test_a_line_without_a_metric_has_no_pattern(text: str) -> None:
    assert logged_in(ast.parse(text)) == []


def test_every_pattern_is_a_regular_expression_with_its_metrics() -> None:
    for text, _, _ in PRINTED:
        for line in printed_lines(ast.parse(text), lambda name: "o" in name):
            assert set(line.metrics) <= set(re.compile(line.pattern).groupindex)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ('print(f"acc {val_acc}")\nprint(f"train acc {acc}")', "train acc 0.9"),
        ('print(f"{phase} loss {loss}")', "train loss 0.9"),
        ('print(f"loss {loss} (validation)")', "loss 0.9 (training)"),
        ("print(e, val_acc)", "step 3 of 4"),
        ('print(f"{e}: {val_acc}")', "epoch: 3"),
    ],
)
def test_a_line_of_another_split_is_not_read(text: str, other: str) -> None:
    logged = logged_in(ast.parse(text))
    chosen = choose(logged).metric.name
    assert chosen.startswith("val") and Patterns(patterns_for(chosen, logged)).read(other) == []


def test_the_value_of_now_is_searched_by_before_the_best_so_far() -> None:
    logged = logged_in(ast.parse('print(f"best {best_acc} val_acc {acc} loss {loss}")'))
    assert choose(logged).metric.name == "val_acc"
