"""Tests of `tfquarl.program.nodes`."""

import contextlib
import threading
import types

import numpy as np

from tfquarl.core import records
from tfquarl.evaluator import episodes
from tfquarl.evaluator import evaluation
from tfquarl.program import archive
from tfquarl.program import budget as budget_lib
from tfquarl.program import nodes


class _Sender:
    """The launcher's side, as far as verdicts go."""

    def __init__(self):
        self.progress = budget_lib.Progress()

    def send(self, kind, **body):
        if kind == "evaluation":
            self.progress.add_evaluation(body)


def _keep(run_dir, version, mean_return):
    estimate = evaluation.ReturnEstimate.of(episodes.EpisodeResults(np.full(2, mean_return), np.ones(2, np.int64)))
    verdict = evaluation.Evaluation(version, 10 * version, "static_wi8_ai8", estimate, estimate, True, 1, 1)
    quantized, reference = (
        records.PolicyArtifact(version, 10 * version, recipe, b"m", {}) for recipe in ("static_wi8_ai8", "float32")
    )
    archive.PolicyArchive(run_dir).save(quantized, reference, verdict)
    return verdict


def test_an_evaluator_tells_what_an_earlier_one_kept_and_did_not_tell(tmp_path, monkeypatch):
    told, untold = _keep(tmp_path, 1, 9.0), _keep(tmp_path, 2, 8.0)
    evaluator = types.SimpleNamespace(run=lambda *arguments: None)
    monkeypatch.setattr(nodes, "make_transport", lambda context: None)
    monkeypatch.setattr(nodes.stations, "make_evaluator", lambda *arguments: (evaluator, contextlib.nullcontext()))
    sender = _Sender()
    sender.progress.add_evaluation(told.to_json())
    event = threading.Event()
    nodes.evaluate(
        types.SimpleNamespace(experiment=None, run_dir=str(tmp_path), sender=sender, stop=event, trained=event)
    )
    assert [verdict["version"] for verdict in sender.progress.evaluations] == [1, 2]
    assert sender.progress.evaluations[1] == untold.to_json()
