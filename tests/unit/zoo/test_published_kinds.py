"""What an index entry says of models of every kind: indoors, with the photo, of several seeds, behind an address; its log."""

import json

import numpy as np
import pytest
import torch
from zoo_support import KITTI, MODEL, ROOMS, STREETS, make_run, photo_model, publish_command, write_log

import mtdc
from mtdc.commands import main
from mtdc.engine.checkpoint import file_hash
from mtdc.engine.config import load_config
from mtdc.engine.result import save_result
from mtdc.engine.runs import evaluate
from mtdc.errors import DataError
from mtdc.metrics.functional import kitti_errors
from mtdc.model import build_model
from mtdc.registry import DATASETS, build
from mtdc.structures import DEPTH
from mtdc.zoo import embedded, training_log
from mtdc.zoo.index import read_zoo
from mtdc.zoo.page import as_markdown, as_text, groups
from mtdc.zoo.publishing import check_predictions
from mtdc.zoo.weights import load_model, read_description

INDOOR = {"type": "NYUv2DepthMetric", "clamp_m": (0.1, 10.0)}


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch):
    monkeypatch.setitem(embedded.FRAMES, "outdoor", STREETS)
    monkeypatch.setitem(embedded.FRAMES, "indoor", ROOMS)


def published(work_dir, zoo, *more):
    assert main(publish_command(work_dir, zoo, *more)) == 0
    return read_zoo(zoo).entries["mine"]


def refused(capsys, command, *words):
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and all(word in said for word in words), said


def test_an_indoor_model_with_photo_and_confidence(tmp_path, capsys):
    """Measured on rooms with the config's own metric; the values are worked out again from what the loaded model answers."""
    model = photo_model(mean_depth_m=2.8, range_m=(0.1, 10.0), uncertainty="laplace")
    run = make_run(tmp_path / "run", model, [{"type": "ErrorSides", "prefix": "sides"}, {**INDOOR, "score_given": False}])
    entry = published(run, tmp_path / "zoo", "--purpose", "rooms and 100 points")
    assert (entry.setting, entry.inputs, entry.outputs) == ("indoor", ["sparse_depth", "image"], ["depth", "depth_confidence"])
    assert entry.embedded.dataset == ROOMS and entry.embedded.metric["score_given"] is False
    stored, _ = load_model(tmp_path / "zoo" / "weights" / entry.file)
    data = build(DATASETS, ROOMS, "dataset", inputs=("sparse_depth", "image"), targets=(DEPTH,))
    errors, deviations = [], []
    for number in range(2):
        item = data[number]
        with torch.inference_mode():
            fields = stored({key: value[None] for key, value in item["inputs"].items()})
        truth = np.where(item["inputs"]["sparse_depth"][0] > 0, 0, item["data_samples"].gt_depth[0])
        errors.append(kitti_errors(np.clip(fields["depth"][0, 0].double().numpy(), 0.1, 10), truth)["rmse"])
        deviations.append(1000 * float(fields["depth_confidence"].mean()))
    assert entry.embedded.values["rmse"] == pytest.approx(1000 * np.mean(errors), rel=1e-5)
    assert entry.embedded.values["mean_deviation_mm"] == pytest.approx(np.mean(deviations), rel=1e-5)
    card = (tmp_path / "zoo" / entry.card).read_text()
    assert "(sparse_depth, image=image)" in card and "rooms and 100 points" in card
    image = np.zeros((40, 56, 3), dtype=np.uint8)
    depth = mtdc.load("mine", "cpu", zoo=tmp_path / "zoo")(item["inputs"]["sparse_depth"][0].numpy(), image=image)
    assert depth.shape == (40, 56) and depth.min() >= 0.1
    capsys.readouterr()
    assert main(["zoo", "--zoo", str(tmp_path / "zoo"), "--markdown"]) == 0
    page = capsys.readouterr().out
    assert "## Indoor, with the photo" in page and "RMSE m |" in page and "2 rooms that the package draws" in page
    assert "Reads sparse depth and the photo; gives depth and the standard deviation" in page


def test_a_photo_changes_the_embedded_values(tmp_path):
    """Streets hand their photo on: with weights that look at it alone, values follow it."""
    model = build_model(photo_model()).strip(("depth",)).eval()
    metric = {"type": "KittiDepthMetric"}
    before = embedded.measure(model, metric, STREETS)
    first = next(model.network.parameters())
    assert first.shape[1] == 5
    with torch.no_grad():
        first[:, 2:] = 0  # the photo's channels
    assert embedded.measure(model, metric, STREETS) != before


def test_a_deviation_that_rounding_spoils_is_seen(tmp_path):
    model = build_model(photo_model(uncertainty="laplace")).strip(("depth",)).eval()
    stored = build_model(photo_model(uncertainty="laplace")).strip(("depth",)).eval()
    stored.load_state_dict(model.state_dict())
    assert check_predictions(model, stored, tmp_path / "a", STREETS) == 0
    last = [value for name, value in stored.named_parameters() if name.endswith("bias") and value.shape == (2,)]
    with torch.no_grad():
        last[-1][1] += 0.1
    with pytest.raises(DataError, match="depth_confidence that differs by"):
        check_predictions(model, stored, tmp_path / "a", STREETS)


@pytest.fixture
def seeds(tmp_path):
    """Results of three seeds' weights on the same two streets: {seed: (result, its file)}; seed 3 is published."""
    found = {}
    for seed in (3, 4, 5):
        run = make_run(tmp_path / f"run{seed}", seed=seed)
        result = evaluate(load_config(run / "mine.py"), run / "epoch_2.pth", tmp_path / f"test{seed}")
        path = tmp_path / f"result{seed}.json"
        save_result(path, result)
        found[seed] = (result, path)
    return found


def result_words(seeds, *others, words="two streets"):
    more = [word for seed in others for word in ("--seed-result", str(seed), str(seeds[seed][1]), words)]
    return ["--result", str(seeds[3][1]), "two streets", *more]


def test_spread_over_frames_and_over_seeds_are_told_apart(seeds, tmp_path):
    entry = published(tmp_path / "run3", tmp_path / "zoo", *result_words(seeds, 5, 4))
    mean = np.mean([seeds[seed][0]["rmse"] for seed in (3, 4, 5)])
    assert f"(3 seeds on average RMSE {mean:.1f} mm" in as_text([entry])
    (expected,) = entry.expected
    frames = [frame["rmse"] for frame in seeds[3][0]["per_frame"].values()]
    means = [seeds[seed][0]["rmse"] for seed in (3, 4, 5)]
    assert expected.values["rmse"] == pytest.approx(means[0])  # of the published weights
    assert expected.spread_over_frames["rmse"] == pytest.approx(abs(frames[0] - frames[1]) / 2**0.5)
    assert expected.over_seeds.seeds == [3, 4, 5]
    assert expected.over_seeds.values["rmse"] == pytest.approx(sum(means) / 3)
    centre = sum(means) / 3
    assert expected.over_seeds.spread["rmse"] == pytest.approx((sum((m - centre) ** 2 for m in means) / 2) ** 0.5)
    row = next(line for line in as_markdown([entry]).splitlines() if "*seeds* (3, 4, 5)" in line)
    assert f"{centre:.1f} ± {expected.over_seeds.spread['rmse']:.1f}" in row


def test_results_of_seeds_that_do_not_belong_together_are_refused(seeds, tmp_path, capsys):
    def command(*words):
        return publish_command(tmp_path / "run3", tmp_path / "zoo", *words)

    refused(capsys, command(*result_words(seeds, 4, words="two street")), "Did you mean 'two streets'?")
    refused(capsys, command(*result_words(seeds, 4), *result_words(seeds, 4)[3:]), "seed 4", "twice")
    refused(capsys, command(*result_words(seeds), "--seed-result", "3", str(seeds[4][1]), "two streets"), "seed 3")
    refused(capsys, command(*result_words(seeds), "--seed-result", "9", str(seeds[3][1]), "two streets"), "weights of")
    refused(capsys, command(*result_words(seeds), "--seed-result", "x", str(seeds[4][1]), "two streets"), "whole number")
    refused(capsys, command(*result_words(seeds), *result_words(seeds)), "two results are called")
    seeds[4][0]["per_frame"] = {f"other_{name}": one for name, one in seeds[4][0]["per_frame"].items()}
    save_result(seeds[4][1], seeds[4][0])
    refused(capsys, command(*result_words(seeds, 4)), "other frames")
    seeds[5][0]["protocol"]["crop"] = "bottom 10x10"
    save_result(seeds[5][1], seeds[5][0])
    refused(capsys, command(*result_words(seeds, 5)), "crop", "bottom 10x10")
    seeds[3][0]["protocol"]["clamp_m"] = [0.0, 50.0]
    save_result(seeds[3][1], seeds[3][0])
    refused(capsys, command(*result_words(seeds)), "clamp_m=[0.0, 50.0]", "measure it again")
    assert not (tmp_path / "zoo" / "index.json").exists()


def test_a_file_behind_an_address(tmp_path, monkeypatch, capsys):
    """Nothing of it is in the zoo; a second machine fetches it by its hash."""
    zoo, upload = tmp_path / "zoo", tmp_path / "upload"
    monkeypatch.setenv("MTDC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MTDC_MIRROR", raising=False)
    entry = published(make_run(tmp_path / "run"), zoo, "--url", f"{upload.as_uri()}/", "--upload", str(upload))
    (file,) = upload.iterdir()
    assert entry.file is None and entry.url == file.as_uri() and entry.sha256 == file_hash(file)
    assert not list(zoo.rglob("*.safetensors"))
    assert "fetched" in as_text([entry]) and "fetched" in as_markdown([entry])
    sparse = np.full((32, 48), 9.0, dtype=np.float32)
    assert mtdc.load("mine", "cpu", zoo=zoo)(sparse).shape == (32, 48)
    assert len(list((tmp_path / "cache").glob(f"{entry.sha256}*"))) >= 1
    wrong = (["--url", "https://example.org"], ["--upload", str(upload)], ["--url", "weights", "--upload", str(upload)])
    for words in wrong:
        refused(capsys, publish_command(tmp_path / "run", zoo, "--replace", *words), "--url")


def test_what_was_logged_goes_beside_the_card(tmp_path, monkeypatch):
    """A resumed run made step 20 twice; a validation and a line that was cut off are left out."""
    run = make_run(tmp_path / "run")
    first = [{"lr": 1e-3, "loss": 3.0, "depth/l1": 2.0, "time": 0.1, "epoch": 1, "iter": n, "step": n} for n in (10, 20)]
    write_log(run, [*first, {"rmse": 900.0, "step": 1}])
    second = [
        {"lr": 5e-4, "loss": 2.0 - n / 100, "depth/l1": 1.0, "memory": 7, "epoch": 2, "iter": n, "step": n} for n in (20, 30)
    ]
    write_log(run, second, "20260102_000000")
    with (run / "20260102_000000" / "vis_data" / "scalars.json").open("a") as file:
        file.write('{"lr": 0.1, "lo')
    entry = published(run, tmp_path / "zoo")
    assert entry.log == "cards/mine.csv"
    expected = ["step,learning_rate,loss,depth/l1", "10,0.001,3,2", "20,0.0005,1.8,1", "30,0.0005,1.7,1"]
    assert (tmp_path / "zoo" / entry.log).read_text().splitlines() == expected
    assert "[mine.csv](mine.csv)" in (tmp_path / "zoo" / entry.card).read_text()
    monkeypatch.setattr(training_log, "ROWS", 5)
    write_log(run, [{"lr": 1.0, "loss": 1.0, "step": n} for n in range(40, 1001, 10)], "20260103_000000")
    published(run, tmp_path / "zoo", "--replace")
    steps = [int(line.split(",")[0]) for line in (tmp_path / "zoo" / entry.log).read_text().splitlines()[1:]]
    assert len(steps) == 5 and (steps[0], steps[-1]) == (10, 1000) and max(np.diff(steps)) <= 260


def test_a_replaced_entry_leaves_nothing_behind(tmp_path):
    run, zoo = make_run(tmp_path / "run"), tmp_path / "zoo"
    write_log(run, [{"lr": 1.0, "loss": 1.0, "step": 10}])
    old = published(run, zoo)
    other = make_run(tmp_path / "other", seed=8)
    new = published(other, zoo, "--replace")
    assert new.log is None and new.file != old.file
    assert sorted(path.name for path in zoo.rglob("*") if path.is_file() and path.name != ".lock") == sorted(
        ["index.json", new.file, "mine.md"]
    )


def test_a_damaged_log_is_said_before_the_zoo_changes(tmp_path, capsys):
    run = make_run(tmp_path / "run")
    write_log(run, [{"lr": 1.0, "loss": 1.0, "step": 10}] * 2)
    file = run / "20260101_000000" / "vis_data" / "scalars.json"
    file.write_text(f"{{\n{file.read_text()}")
    refused(capsys, publish_command(run, tmp_path / "zoo"), "scalars.json, line 1")
    assert not [path for path in (tmp_path / "zoo").rglob("*") if path.is_file() and path.name != ".lock"]


def test_groups_of_the_page(tmp_path):
    """A model stands with those that it can be compared with, and a setting can be said."""
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", photo_model()), make_run(tmp_path / "c", evaluator=INDOOR)]
    found = [published(run, tmp_path / f"zoo{number}") for number, run in enumerate(runs)]
    found.append(published(runs[0], tmp_path / "zoo", "--setting", "indoor"))
    titles = [title for title, _ in groups(found)]
    assert titles == ["Outdoor, depth only", "Outdoor, with the photo", "Indoor, depth only"]
    assert [len(group) for _, group in groups(found)] == [1, 1, 2]
    text = as_text(found)
    assert [line for line in text.splitlines() if line and not line.startswith(" ")] == titles


def test_the_metric_is_the_configs(tmp_path, capsys):
    run = make_run(tmp_path / "run", evaluator={**KITTI, "clamp_m": (1.0, 50.0)})
    entry = published(run, tmp_path / "zoo")
    assert entry.embedded.metric == {"type": "KittiDepthMetric", "clamp_m": [1.0, 50.0]}
    assert entry.protocol["clamp_m"] == [1.0, 50.0]
    none = make_run(tmp_path / "none", evaluator={"type": "ErrorSides"})
    refused(capsys, publish_command(none, tmp_path / "other"), "measures no depth")


def test_what_the_machine_chose_is_the_entrys_precision(tmp_path):
    """With the config as it is shipped, which leaves the choice to the machine: the run's folder has it."""
    run = make_run(tmp_path / "run", {**MODEL, "precision": "auto", "channels_last": "auto"})
    assert published(run, tmp_path / "zoo").precision == "auto"
    (run / "precision.json").write_text(json.dumps({"chosen": {"precision": "bfloat16", "channels_last": True}}))
    entry = published(run, tmp_path / "zoo", "--replace")
    assert entry.precision == "bfloat16"
    told = read_description(tmp_path / "zoo" / "weights" / entry.file)
    assert told.model["precision"] == "bfloat16" and told.training["command"] == entry.command


def test_the_index_is_read_as_it_was_written(tmp_path, seeds):
    entry = published(tmp_path / "run3", tmp_path / "zoo", *result_words(seeds, 4))
    content = json.loads((tmp_path / "zoo" / "index.json").read_text())
    assert content["version"] == 2 and "url" not in content["entries"][0] and "log" not in content["entries"][0]
    assert "over_seeds" in content["entries"][0]["expected"][0]
    assert read_zoo(tmp_path / "zoo").entries["mine"] == entry and entry.expected[0].over_seeds.seeds == [3, 4]
    assert entry.command == "mtdc train mine.py --data-root DATA" and MODEL["width"] == 2
