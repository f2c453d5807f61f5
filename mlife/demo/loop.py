"""
The loop on real data: four models and two shifts, told as a team would live it, all through the product's commands.

*Home* is scikit-learn's digits, *field* the digits of MNIST, *covered* field digits whose lower part is hidden.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlife.badcases.commands import (
    acknowledge_alarm,
    choose_remedy,
    close_iteration,
    name_cause,
    open_iteration,
    pin,
    triage,
)
from mlife.badcases.events import CauseNamed, IterationOpened
from mlife.badcases.views.details import pinnable
from mlife.badcases.views.lists import matching_ids
from mlife.badcases.views.turns import alarms_about
from mlife.core.command import Executor
from mlife.core.errors import Refused
from mlife.core.names import test_document_id
from mlife.demo.digits import Rows, collect, load
from mlife.demo.field import CLIENTS, FUNCTION, SYSTEM, Answered, Shift, confusions, reports, traffic
from mlife.demo.hands import Hands
from mlife.serving.commands import create_deployment

COLLECTED = 450
"""Field items that a request takes in."""

Tell = Callable[[float, str], None]
"""Called with the share of the story told, in [0, 1], and a sentence."""


@dataclass
class Told:
    """What the story needs to remember for its end; names of models are `v1` … `v4`."""

    models: dict[str, str] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)
    deployments: dict[str, str] = field(default_factory=dict)
    gate: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    sends: int = 0
    shifts: list[str] = field(default_factory=list)
    random_baseline: float = 0.0
    broken: int = 0


class Loop:
    """
    The story on one home.

    Args:
        tell: is told how far it is.
    """

    def __init__(self, hands: Hands, tell: Tell) -> None:
        self.hands = hands
        self.tell = tell
        self.rows = load(hands.seed)
        self.told = Told()

    def run(self) -> Told:
        """Tell it from the beginning; what was told before answers at once."""
        baseline = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "mlife.demo.random_baseline", str(self.hands.seed), str(COLLECTED)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.first_model()
            self.field_is_not_home()
            self.second_model()
            self.digits_get_covered()
            self.hurried_hotfix()
            self.both_together()
        finally:
            said, _ = baseline.communicate()
        self.told.random_baseline = json.loads(said)["field_random_baseline"]
        self.tell(1.0, "done")
        return self.told

    # --- the chapters ---

    def first_model(self) -> None:
        """v1 learns at home and is deployed."""
        self._turn(0, 0.0, "v1 is trained on scikit-learn's digits")
        h = self.hands
        train = h.document("ben", "home train", self.rows["home_train"])
        test = h.document("ben", "home test", self.rows["home_test"], purpose="testing")
        self.told.groups["digits"] = self._test_group("home test", [test])
        self._learn("v1", [train], parents=())
        self._judge("v1", [])
        self._ship("v1", "1.0", "mira")

    def field_is_not_home(self) -> None:
        """Devices in the field read MNIST digits with v1, and more than half are wrong."""
        self._turn(1, 0.16, "real field digits arrive, and v1 reads less than half of them")
        self._live("field_seen", "v1", "1.0", weeks=(1, 5))

    def second_model(self) -> None:
        """The first turn of the loop: alarm, cause, request, collection, v2."""
        self._turn(5, 0.24, "one alarm, one cause, one request: 450 field items are collected")
        iteration = self._aim(
            "field digits", "", "MNIST's pen strokes are not like scikit-learn's: thicker, and slanted"
        )
        collected = self._collect("field", "v1", self.rows["field_pool"], iteration, ["field_seen"])
        held_out = self.hands.document("ben", "field held out", self.rows["field_test"], purpose="testing")
        self.told.groups["field"] = self._test_group("field held out", [held_out], iteration)
        self.told.groups["pinned"] = self._pin(iteration, "pinned reports 1")

        self._turn(6, 0.32, "v2 is trained, tested and judged")
        self._learn("v2", [self._document("home train"), collected], parents=("v1",), iteration=iteration)
        self._judge("v2", ["v1"], iteration)
        self._ship("v2", "2.0", "mira")
        self._end(iteration, "2.0")
        self._turn(6.5, 0.46, "v2 answers in the field")
        self._live("field_after", "v2", "2.0", weeks=(6.5, 8))

    def digits_get_covered(self) -> None:
        """The second shift: stickers cover the lower part of field digits."""
        self._turn(8, 0.5, "a second shift: the lower part of field digits is covered")
        self._live("covered_seen", "v2", "2.0", weeks=(8, 9.5))

    def hurried_hotfix(self) -> None:
        """v3 forgets what v2 had learned; the gate says so, a person overrides it, and the field says so too."""
        self._turn(9.5, 0.54, "a hurried hotfix v3, trained without v2's field rows")
        iteration = self._aim("covered digits", "version:2.0", "a sticker covers the lower part of the digit")
        self._collect("covered", "v2", self.rows["covered_pool"], iteration, ["covered_seen"], size=10**6)
        held_out = self.hands.document("ben", "covered held out", self.rows["covered_test"], purpose="testing")
        self.told.groups["masked"] = self._test_group("covered held out", [held_out], iteration)
        self.told.groups["pinned"] = self._pin(iteration, "pinned reports 2")
        self._learn(
            "v3",
            [self._document("home train"), self._document("covered collected")],
            parents=("v2",),
            iteration=iteration,
        )
        self._judge("v3", ["v2", "v1"], iteration)
        self._refused("v3", "3.0")
        self._ship("v3", "3.0", "mira", override="covered digits can't wait")

        self._turn(10.5, 0.68, "the field reports what came back")
        self._live("field_hotfix", "v3", "3.0", weeks=(10.5, 12))
        self._live("field_stale", "v1", "1.0", weeks=(10.5, 12), clients=("lab",))
        self._turn(12, 0.74, "the hotfix is rolled back")
        self.hands.roll_back("mira", self.told.deployments["3.0"], "it breaks badcases that v2 had fixed")

    def both_together(self) -> None:
        """v4 learns from both, passes, and closes what is really fixed."""
        self._turn(12.5, 0.76, "v4 is trained on both")
        documents = [self._document(name) for name in ("home train", "field collected", "covered collected")]
        iteration = self._open("covered digits")
        self._learn("v4", documents, parents=("v2",), iteration=iteration)
        self._judge("v4", [], iteration)
        override = (
            "" if self.told.gate["v4"] == "passed" else "better than v2 in the field; the broken rows are watched"
        )
        self._ship("v4", "4.0", "mira", override=override)
        self._end(iteration, "4.0")
        self._turn(13, 0.92, "v4 answers in the field, and what is fixed closes")
        self._live("field_last", "v4", "4.0", weeks=(13, 15.9))
        self._live("covered_last", "v4", "4.0", weeks=(13, 15.9))

    # --- what chapters are made of ---

    def _turn(self, week: float, share: float, sentence: str) -> None:
        self.hands.calendar.turn_to(week)
        self.tell(share, sentence)

    def _live(
        self, purpose: str, name: str, version: str, *, weeks: tuple[float, float], clients: tuple[str, ...] = CLIENTS
    ) -> None:
        """Some weeks in the field: devices ask, failures are reported, traffic is counted."""
        h = self.hands
        shift = Shift(purpose, version, h.calendar.at(weeks[0]), h.calendar.at(weeks[1]), clients)
        answered = self._answered(purpose, name)
        h.calendar.turn_to(weeks[1])
        h.keep_pictures(answered.rows.take(answered.wrong))
        sent, _ = h.send(reports(shift, answered), traffic(shift, len(answered.rows)))
        self.told.sends += sent
        self.told.shifts.append(purpose)
        h.settle()

    def _answered(self, purpose: str, name: str) -> Answered:
        return self.hands.answer(self.told.models[name], self.rows[purpose])

    def _aim(self, title: str, query: str, explanation: str) -> str:
        """
        What a person does: look at the newest alarm (or at what a *query* finds), name the cause, choose the remedy,
        open an iteration.
        """
        h = self.hands
        with h.home.ports.views.read() as read:
            alarm = None if query else alarms_about(read, SYSTEM, FUNCTION)[0]
            ids = matching_ids(read, f"system:{SYSTEM} function:{FUNCTION} {query}", now=h.calendar.now())
        cause = h.do(
            "ana", f"cause:{title}", name_cause, system=SYSTEM, function=FUNCTION, title=title,
            explanation=explanation, badcase_ids=alarm.badcase_ids if alarm else tuple(ids),
        ).first(CauseNamed)  # fmt: skip
        h.do("ana", f"remedy:{title}", choose_remedy, cause_id=cause.cause_id, remedy="collect")
        opened = h.do(
            "ana", f"open:{title}", open_iteration, system=SYSTEM, function=FUNCTION, title=title,
            badcase_ids=cause.badcase_ids, alarm_id=alarm.alarm_id if alarm else None, cause_id=cause.cause_id,
        ).first(IterationOpened)  # fmt: skip
        if opened.alarm_id is not None:
            h.do("ana", f"seen:{title}", acknowledge_alarm, alarm_id=opened.alarm_id, note=title)
        for badcase_id in cause.badcase_ids[:10]:
            h.do("ana", f"triage:{title}:{badcase_id}", triage, badcase_id=badcase_id, note=title)
        h.settle()
        return opened.iteration_id

    def _collect(
        self, what: str, name: str, pool: Rows, iteration: str, shifts: Sequence[str], size: int = COLLECTED
    ) -> str:
        """A request goes out, and labelled items of a separate pool come in for it. Returns the Document ID."""
        h = self.hands
        wanted = confusions([self._answered(s, name) for s in shifts])
        items = collect(pool, self._answered(pool.purpose, name).labels, wanted, min(size, len(pool)), h.seed)
        request = h.request(
            "ana", f"request:{what}", Counter(items.labels), f"{what} digits like those that are read wrong",
            iteration_id=iteration,
        )  # fmt: skip
        return h.document("ben", f"{what} collected", items, request_id=request, iteration_id=iteration)

    def _pin(self, iteration: str, name: str) -> str:
        """Add to Test Data: the reports of every badcase become testing rows, frozen as *name*; its Group ID."""
        h = self.hands
        if not h.was_done(f"group:{name}"):  # told again, nothing that came later is pinned
            with h.home.ports.views.read() as read:
                ids = matching_ids(read, f"system:{SYSTEM} function:{FUNCTION}", now=h.calendar.now())
                found = [(badcase_id, pinnable(read, badcase_id)) for badcase_id in ids]
            for badcase_id, rows in found:
                if rows:
                    h.do(
                        "ana", f"pin:{iteration}:{badcase_id}", pin, badcase_id=badcase_id, system=SYSTEM,
                        function=FUNCTION, rows=rows, iteration_id=iteration,
                    )  # fmt: skip
            h.settle()
        return self._test_group(name, [test_document_id(SYSTEM, FUNCTION)], iteration)

    def _test_group(self, name: str, documents: Sequence[str], iteration: str | None = None) -> str:
        return self.hands.group("ben", name, "testing", documents, iteration_id=iteration).group_id

    def _document(self, name: str) -> str:
        return self.hands.documents[name]

    def _learn(self, name: str, documents: Sequence[str], parents: Sequence[str], iteration: str | None = None) -> None:
        """Group Items, then the task that came with the group."""
        grouped = self.hands.group("ben", f"{name} training", "training", documents, iteration_id=iteration)
        self.told.tasks.append(grouped.task_id)
        self.told.models[name] = self.hands.train(grouped.task_id, name, [self.told.models[p] for p in parents])

    def _judge(self, name: str, beside: Sequence[str], iteration: str | None = None) -> None:
        """Test a model, beside others on the same rows, on every test group there is; the gate follows by itself."""
        groups = list(self.told.groups.values())
        task_id = self.hands.draft_test(f"{name} test", groups, iteration)
        self.told.tasks.append(task_id)
        self.hands.test(task_id, [self.told.models[n] for n in (name, *beside)], groups)
        self.told.gate[name] = "passed" if self.hands.passed(self.told.models[name]) else "refused"

    def _refused(self, name: str, version: str) -> None:
        """Try to ship without an override; the refusal is part of the story."""
        if self.told.gate[name] == "passed":
            return
        try:
            self._as_mira()(
                create_deployment,
                system=SYSTEM,
                function=FUNCTION,
                model_ids=(self.told.models[name],),
                version=version,
            )
        except Refused:
            self.told.broken = self.hands.breaks(self.told.models[name])
            self.tell(0.66, f"the gate refuses {name}, and mira overrides it")

    def _as_mira(self) -> Executor:
        return self.hands.as_("mira")

    def _ship(self, name: str, version: str, who: str, override: str = "") -> None:
        self.told.deployments[version] = self.hands.deploy(who, self.told.models[name], version, override)

    def _open(self, title: str) -> str:
        """The iteration that was opened under *title*."""
        return self.hands.known(f"open:{title}", IterationOpened).iteration_id

    def _end(self, iteration: str, version: str) -> None:
        self.hands.do(
            "ana", f"close:{iteration}", close_iteration, iteration_id=iteration, outcome="shipped",
            deployment_id=self.told.deployments[version],
        )  # fmt: skip
