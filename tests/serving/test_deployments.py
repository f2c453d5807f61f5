"""Deployments: who may ship what, what answers afterwards, and what happens when something dies on the way."""

from __future__ import annotations

import threading

import pytest

from mlife.core.errors import Invalid, NotFound, Refused
from mlife.core.judgement import Policy
from mlife.runtime import open_home
from mlife.serving import answering, views
from mlife.serving.commands import annotate_deployment, create_deployment, load_policy, roll_back
from mlife.serving.events import DeploymentCreated
from tests.conftest import drain
from tests.serving.conftest import FUNCTION, SYSTEM, picture


def says(shop, name=f"{SYSTEM}.{FUNCTION}"):
    """What the target of the home answers, and who."""
    found = answering.asked_for(shop.home.ports, name)
    (said,) = found.predictor.predict_files([picture()])
    return said["label"], found.model_id


def test_a_passed_model_is_deployed_and_the_target_says_who_answers(shop, first):
    model, _ = first
    dep = shop.deploy(model, "1.0", metrics={"client": "fleet-7", "pending time": 3})

    found = shop.deployment(dep)
    assert (found.state, found.answered_by, found.function) == ("active", model, FUNCTION)
    assert found.metrics == {"client": "fleet-7", "pending time": 3}
    assert says(shop) == ("v1", model)
    (activated,) = shop.events("mlife.deployment.activated.v1")
    assert activated.uris == {model: f"sha256:{activated.digests[model]}"}
    assert activated.reason == "created"


def test_a_model_that_nobody_tested_is_refused_and_the_refusal_says_how_to_override(shop):
    model = shop.model("v1")
    with pytest.raises(Refused) as refused:
        shop.deploy(model, "1.0")

    assert refused.value.message == f"{model} was never judged: no testing task ran with it"
    assert "override" in refused.value.remedy


def test_a_refused_model_is_shipped_only_with_a_name_and_a_reason(shop, first):
    v1, group = first
    bad = shop.model("bad", parents=(v1,))
    shop.test({bad: {f"home-{n}": "sad" for n in range(20)}}, [group])
    told = {"system": SYSTEM, "model_ids": (bad,), "version": "2.0"}

    with pytest.raises(Refused, match="20 rows broken"):
        shop.home.do(create_deployment, **told)
    for unsigned in ({"by": "mira", "reason": " "}, {"by": "", "reason": "hurry"}, {"reason": "hurry"}):
        with pytest.raises(Refused, match="needs a name and a reason"):
            shop.home.do(create_deployment, **told, override=unsigned)

    dep = shop.deploy(bad, "2.0", override="customer waits")
    assert shop.deployment(dep).overridden_by == "mira"
    assert shop.deployment(dep).override_reason == "customer waits"


def test_an_override_that_was_not_needed_is_not_kept(shop, first):
    dep = shop.deploy(first[0], "1.0", override="better safe")
    assert shop.deployment(dep).overridden_by is None


def test_a_verdict_under_an_older_policy_lets_nobody_through(shop, first):
    shop.home.do(load_policy, policy={"largest_loss": 0.001})
    with pytest.raises(Refused, match="passed under another policy"):
        shop.deploy(first[0], "1.0")


def test_loading_a_policy_names_each_number_that_can_not_be_used(shop):
    with pytest.raises(Invalid) as refused:
        shop.home.do(load_policy, policy={"largest_loss": 7, "smallest_loss": 1})
    assert {r.field for r in refused.value.refusals} == {"largest_loss", "smallest_loss"}

    shop.home.do(load_policy, function="dms/emotion", policy={"bake_requests": 50})
    shop.drain()
    with shop.home.ports.views.read() as read:
        assert views.policy_of(read, "dms", "emotion") == Policy(bake_requests=50)
        assert views.policy_of(read, "dms", "smoking") == Policy()


def test_the_badcase_list_is_attached_as_it_was(shop, first):
    v1, home_set = first
    badcase = shop.report(["r0", "r1"], "sad", "happy", v1)
    pinned = shop.group("pinned", {"r0": "sad", "r1": "sad"})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v1: {"r0": "happy", "r1": "happy"}, v2: {}}, [home_set, pinned])
    dep = shop.deploy(v2, "2.0")

    shop.home.do(annotate_deployment, deployment_id=dep, badcase_ids=("bc-seen", badcase), metrics={"client": "lab"})
    shop.drain()
    found = shop.deployment(dep)
    assert found.badcases == {badcase: "unproven"}
    assert found.more_badcases == ("bc-seen",)
    assert found.metrics == {"client": "lab"}


def test_a_version_means_the_same_models_for_ever(shop, first):
    shop.deploy(first[0], "1.0")
    other = shop.model("other")
    with pytest.raises(Refused, match=f"version 1.0 of dms means {first[0]}"):
        shop.deploy(other, "1.0", override="hurry")

    again = shop.deploy(first[0], "1.0")
    assert shop.deployment(again).state == "active"


def test_a_model_is_deployed_for_what_it_was_made_for(shop, first):
    with pytest.raises(Refused, match="was made for dms emotion, not for dms smoking"):
        shop.deploy(first[0], "1.0", function="smoking")
    with pytest.raises(NotFound, match="there is no model mdl-nobody"):
        shop.deploy("mdl-nobody", "1.0")


def test_several_models_are_shipped_as_one_and_each_answers_to_its_function(shop):
    emotion, smoking = shop.model("calm"), shop.model("smoke", function="smoking")
    dep = shop.deploy(emotion, "1.0", override="first bundle", model_ids=(emotion, smoking))

    assert shop.deployment(dep).function is None
    assert says(shop, "dms.emotion") == ("calm", emotion)
    assert says(shop, "dms.smoking") == ("smoke", smoking)
    assert says(shop, smoking) == ("smoke", smoking)


def test_a_rollback_activates_what_answered_before(shop, first):
    one = shop.deploy(first[0], "1.0")
    two = shop.deploy(shop.model("v2"), "2.0", override="try")
    assert says(shop)[0] == "v2"

    shop.roll_back(two)
    assert says(shop) == ("v1", first[0])
    assert (shop.deployment(one).state, shop.deployment(two).state) == ("active", "rolled back")
    assert shop.deployment(one).reason == f"rollback of {two}"
    before = shop.home.ports.store.head()
    shop.roll_back(two)
    assert shop.home.ports.store.head() == before


def test_only_what_answers_is_rolled_back_and_only_to_something(shop, first):
    one = shop.deploy(first[0], "1.0")
    with pytest.raises(Refused, match=f"nothing answered on local before {one}"):
        shop.roll_back(one)
    two = shop.deploy(shop.model("v2"), "2.0", override="try")
    with pytest.raises(Refused, match=f"{one} is not what answers on local: {two} does"):
        shop.roll_back(one)
    with pytest.raises(Refused, match="needs a reason"):
        shop.home.do(roll_back, deployment_id=two, reason="")


def test_a_second_rollback_goes_past_what_was_taken_back(shop, first):
    one = shop.deploy(first[0], "1.0")
    two = shop.deploy(shop.model("v2"), "2.0", override="try")
    shop.roll_back(two)
    three = shop.deploy(shop.model("v3"), "3.0", override="try")
    shop.roll_back(three)

    assert shop.deployment(one).state == "active"
    assert says(shop)[0] == "v1"


def test_a_model_file_that_was_changed_fails_and_the_old_model_goes_on(shop, first):
    shop.deploy(first[0], "1.0")
    v2 = shop.model("v2")
    shop.drain()
    with shop.home.ports.views.read() as read:
        path = shop.home.ports.blobs.path(views.model(read, v2).sha256)
    path.chmod(0o644)
    path.write_bytes(b"something else")

    dep = shop.deploy(v2, "2.0", override="try")
    found = shop.deployment(dep)
    assert found.state == "failed"
    assert "has been changed" in found.error
    assert says(shop) == ("v1", first[0])
    assert shop.home.book.letters() == []


def test_a_target_that_is_not_here_fails_with_those_that_are(shop, first):
    dep = shop.deploy(first[0], "1.0", target="moon")
    assert shop.deployment(dep).error == (
        "there is no target 'moon' here: deploy to local, or install the target's package"
    )


def test_delivering_twice_activates_once(shop, first):
    shop.deploy(first[0], "1.0")
    two = shop.deploy(shop.model("v2"), "2.0", override="try")
    shop.roll_back(two)
    before = shop.home.ports.store.head()

    shop.again("serving.activate")

    assert shop.home.ports.store.head() == before
    assert says(shop) == ("v1", first[0])


def test_two_deployments_that_race_for_a_version_end_with_one(shop):
    models = [shop.model("left"), shop.model("right")]
    begin = threading.Barrier(2)
    outcomes = {}

    def ship(model):
        begin.wait()
        try:
            told = {"system": SYSTEM, "model_ids": (model,), "version": "1.0", "override": {"by": "a", "reason": "b"}}
            outcomes[model] = shop.home.do(create_deployment, **told).first(DeploymentCreated).deployment_id
        except Refused as e:
            outcomes[model] = e

    racing = [threading.Thread(target=ship, args=(m,)) for m in models]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join()
    shop.drain()

    (won,) = [m for m in models if isinstance(outcomes[m], str)]
    (lost,) = [m for m in models if m != won]
    assert f"version 1.0 of dms means {won}" in str(outcomes[lost])
    assert shop.deployment(outcomes[won]).state == "active"


def test_of_two_deployments_that_wait_together_the_later_one_answers_in_the_end(shop, first):
    told = {"system": SYSTEM, "override": {"by": "mira", "reason": "try"}}
    v2, v3 = shop.model("v2"), shop.model("v3")
    two = shop.home.do(create_deployment, **told, model_ids=(v2,), version="2.0").first(DeploymentCreated)
    three = shop.home.do(create_deployment, **told, model_ids=(v3,), version="3.0").first(DeploymentCreated)
    shop.drain()

    assert says(shop) == ("v3", v3)
    assert shop.deployment(two.deployment_id).state == "replaced"
    shop.roll_back(three.deployment_id)
    assert says(shop) == ("v2", v2)


class Killed(BaseException):
    """The process died here."""


def test_a_process_that_dies_between_the_switch_and_the_event_goes_on_where_it_was(shop, first, monkeypatch):
    shop.deploy(first[0], "1.0")
    v2 = shop.model("v2")
    target = shop.home.ports.extra["target"]
    take = target.take

    def take_and_die(**given):
        take(**given)
        raise Killed

    monkeypatch.setattr(target, "take", take_and_die)
    told = {"system": SYSTEM, "model_ids": (v2,), "version": "2.0", "override": {"by": "mira", "reason": "try"}}
    dep = shop.home.do(create_deployment, **told).first(DeploymentCreated).deployment_id
    with pytest.raises(Killed):
        drain(shop.home)

    with open_home(shop.home.settings) as reborn:
        reborn.restore()
        assert answering.asked_for(reborn.ports, "dms.emotion").model_id == first[0]
        drain(reborn)
        assert answering.asked_for(reborn.ports, "dms.emotion").model_id == v2
        with reborn.ports.views.read() as read:
            assert views.deployment(read, dep).state == "active"
        activated = reborn.ports.store.read(0, 10_000, types=["mlife.deployment.activated.v1"])
        assert [r.event.deployment_id for r in activated].count(dep) == 1


def test_a_restart_takes_up_what_was_active(shop, first):
    shop.deploy(first[0], "1.0")
    with open_home(shop.home.settings) as reborn:
        assert reborn.ports.extra["target"].held() == []
        reborn.restore()
        assert [a.model_id for a in reborn.ports.extra["target"].held()] == [first[0]]


def test_a_process_that_runs_no_handlers_answers_with_what_another_one_activated(shop, first):
    shop.deploy(first[0], "1.0")
    with open_home(shop.home.settings) as beside:
        beside.restore()
        v2 = shop.model("v2")
        two = shop.deploy(v2, "2.0", override="try")
        assert answering.asked_for(beside.ports, "dms.emotion").model_id == v2

        shop.roll_back(two)
        assert answering.asked_for(beside.ports, "dms.emotion").model_id == first[0]
