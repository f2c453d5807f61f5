"""
What the same number of *random* field items would have reached: the honest yardstick beside the targeted collection.

Run as a child process beside the demo; prints one JSON object.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from sklearn.svm import SVC

from mlife.demo.digits import Rows, load
from mlife.demo.train_digits import PICTURES


def accuracy(seed: int, size: int) -> float:
    """Share of held-out field digits that a model reads right, trained on home and *size* random field items."""
    split = load(seed)
    pool = split["field_pool"]
    chosen = pool.take(np.random.default_rng([seed, 11]).permutation(len(pool))[:size].tolist())
    machine = SVC(C=10.0, gamma=0.001)
    machine.fit(np.concatenate([_seen(split["home_train"]), _seen(chosen)]), split["home_train"].labels + chosen.labels)
    held_out = split["field_test"]
    return float(np.mean(machine.predict(_seen(held_out)) == np.array(held_out.labels)))


def _seen(rows: Rows) -> np.ndarray:
    """Pictures as the model sees them."""
    return np.stack([PICTURES.convert(png) for png in rows.pngs])


if __name__ == "__main__":
    print(json.dumps({"field_random_baseline": accuracy(int(sys.argv[1]), int(sys.argv[2]))}))
