"""The metrics of kerasal and of its peers as functions of the same inputs, for ``metrics.py``.

Each function imports its package only when it is called, since every peer runs in a Python of its own.
"""

import sys

import numpy as np

OCTAVE = """
warning('off', 'all'); pkg load image; addpath('{folder}'); load('{data}');
fixations = double(fixations); others = double(others);
calls = struct('judd', @() AUC_Judd(saliency, fixations, 0), 'borji', @() AUC_Borji(saliency, fixations), ...
  'shuffled', @() AUC_shuffled(saliency, fixations, others), 'nss', @() NSS(saliency, fixations), ...
  'cc', @() CC(saliency, density), 'sim', @() similarity(saliency, density), 'kld', @() KLdiv(saliency, density), ...
  'ig', @() InfoGain(saliency, fixations, density), 'emd', @() EMD_without_solver(saliency, density));
while true
  line = fgetl(stdin);
  if ~ischar(line), break; end
  if isempty(line), continue; end  % fgetl returns only after the next line, so an empty one follows
  call = calls.(line); times = zeros(1, {calls});
  for i = 1:{calls}, tic; value = call(); times(i) = toc; end
  printf('%.17g %.17g\\n', 1000 * median(times), value); fflush(stdout);
end
"""


def kerasal_calls(d: dict) -> dict:
    from kerasal import metrics as m

    s, g, f, o, p, q = (d[k] for k in ("saliency", "density", "fixations", "others", "points", "pool"))
    return {
        "judd": lambda: m.auc_judd(s, f),
        "borji": lambda: m.auc_borji(s, f),
        "shuffled": lambda: m.auc_shuffled(s, f, o),
        "nss": lambda: m.nss(s, f),
        "cc": lambda: m.cc(s, g),
        "sim": lambda: m.similarity(s, g),
        "kld": lambda: m.kld(s, g),
        "ig": lambda: m.information_gain(s, f, g),
        "emd": lambda: m.emd(s, g),
        "nss ddof=0, points": lambda: m.nss(s, p, ddof=0, duplicates=True),
        "auc all, points": lambda: m.auc(s, p, negatives="all", duplicates=True),
        "auc shuffled exact, points": lambda: m.auc(s, p, negatives=q, duplicates=True),
        "its ROC core alone": lambda: m.auc(s, p, negatives=q, duplicates=True),
        "sim sum": lambda: m.similarity(s, g, normalization="sum"),
    }


def floor_calls(d: dict) -> dict:
    from kerasal.metrics._sums import count_above

    values = d["saliency"].ravel()
    low, high, levels = values.min(), values.max(), np.unique(values[d["fixations"].ravel() > 0])
    return {
        "one pass (sum)": values.sum,
        "bucket rank of the fixations": lambda: count_above(values, levels, low, high),
        "full sort": lambda: np.sort(values),
    }


def pysaliency_calls(d: dict) -> dict:
    import importlib.util
    from unittest import mock

    if importlib.util.find_spec("torch") is None:
        sys.modules["pysaliency.external_models"] = mock.MagicMock(__spec__=None)
    import pysaliency
    from pysaliency import metrics as m
    from pysaliency.roc import general_roc

    s, g, p, q = d["saliency"], d["density"], d["points"], d["pool"]

    class ConstantModel(pysaliency.SaliencyMapModel):
        def _saliency_map(self, stimulus):
            return s

    def make_fixations(points):
        return pysaliency.Fixations.create_without_history(points[:, 0], points[:, 1], np.zeros(len(points), int))

    model, stimuli = ConstantModel(), pysaliency.Stimuli([np.zeros((*s.shape, 3), np.uint8)])
    fixations, others = make_fixations(p), make_fixations(q)
    return {
        "nss ddof=0, points": lambda: m.NSS(s, p[:, 0], p[:, 1]).mean(),
        "auc all, points": lambda: general_roc(s[p[:, 1], p[:, 0]], s.flatten())[0],
        "auc shuffled exact, points": lambda: model.AUC_per_image(stimuli, fixations, nonfixations=others)[0],
        "its ROC core alone": lambda: general_roc(s[p[:, 1], p[:, 0]], s[q[:, 1], q[:, 0]])[0],
        "cc": lambda: m.CC(s, g),
        "sim sum": lambda: m.SIM(s, g),
        "kld": lambda: m.MIT_KLDiv(s, g),
    }


def port_calls(d: dict, file: str) -> dict:
    import importlib.util

    spec = importlib.util.spec_from_file_location("port", file)
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    s, g, f, o = d["saliency"], d["density"], d["fixations"], d["others"]
    return {
        "judd": lambda: m.AUC_Judd(s, f, jitter=False),
        "borji": lambda: m.AUC_Borji(s, f),
        "shuffled": lambda: m.AUC_shuffled(s, f, o),
        "nss": lambda: m.NSS(s, f),  # its standard deviation divides by N, which takes the same time
        "cc": lambda: m.CC(s, g),
        "sim": lambda: m.SIM(s, g),
    }
