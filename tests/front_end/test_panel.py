"""The panel in a real kernel: what it holds, how it follows, and what its buttons do."""

from __future__ import annotations

import time

import pytest
from front_ends import within

MIME = "application/vnd.jupyter-federation.panel+json"
VIEW = "application/vnd.jupyter.widget-view+json"


class Widgets:
    """The widgets' synced state, as a front end holds it."""

    def __init__(self, front_end):
        self.front_end = front_end

    @property
    def models(self):
        models = {}
        for message in list(self.front_end.heard):
            content = message["content"]
            if message["msg_type"] == "comm_open" and content["target_name"] == "jupyter.widget":
                models[content["comm_id"]] = dict(content["data"]["state"])
            elif message["msg_type"] == "comm_msg" and content["data"].get("method") in {"update", "echo_update"}:
                models.setdefault(content["comm_id"], {}).update(content["data"]["state"])
        return models

    def of(self, name):
        """The ids of the models with a class."""
        return [each for each, state in self.models.items() if name in state.get("_dom_classes", ())]

    def state(self, name):
        (model,) = self.of(name)
        return self.models[model]

    @property
    def html(self):
        """The markup of all."""
        return "\n".join(str(each.get("value", "")) for each in self.models.values())

    def visible(self, name):
        layout = self.state(name)["layout"].removeprefix("IPY_MODEL_")
        return self.models[layout].get("display") != "none"

    def click(self, action):
        """What a front end without the extension sends."""
        (model,) = self.of(f"jf-action-{action}")
        data = {"method": "custom", "content": {"event": "click"}}
        self.front_end.send("shell", "comm_msg", {"comm_id": model, "data": data})

    def choose(self, index):
        (model,) = self.of("jf-profile")
        data = {"method": "update", "state": {"index": index}, "buffer_paths": []}
        self.front_end.send("shell", "comm_msg", {"comm_id": model, "data": data})


@pytest.fixture
def widgets(research, front_end):
    return Widgets(front_end)


def until(condition, front_end, seconds=15):
    within(seconds, condition, front_end.said)


def test_the_panel_is_one_model_and_each_display_a_view(widgets, front_end):
    """Its bundle names the panel that the channel tells, and is complete as text and HTML."""
    cells = [front_end.start("%federate panel"), front_end.start("import jupyter_federation as jf; jf.panel()")]
    for each in cells:
        front_end.end(each)
    (first,), (second,) = map(front_end.displayed, cells)
    assert first == second
    assert {MIME, VIEW, "text/html", "text/plain"} == first.keys()
    assert first[MIME] == {"panel": front_end.states[0]["panel"]}
    assert widgets.of("jf-panel") == [first[VIEW]["model_id"]]
    assert "Not signed in" in first["text/plain"]
    assert "Not signed in" in first["text/html"]


@pytest.mark.slow
def test_the_panel_follows_and_is_silent_while_nothing_happens(widgets, front_end):
    """A few messages an event, the state by its classes and times; none in five seconds between."""
    front_end.run("%federate panel")
    assert "jf-is-none" in widgets.html
    assert "primary" == widgets.state("jf-action-sign-in")["button_style"]
    front_end.run("%federate")
    until(lambda: "jf-is-valid" in widgets.html, front_end)
    time.sleep(0.5)
    assert 'class="jf-countdown"' in widgets.html
    for place in ("subject", "account", "role", "region", "key"):
        assert f"jf-place-{place}" in widgets.html
    assert "jf-place-identity" not in widgets.html  # STS gives none
    assert "" == widgets.state("jf-action-sign-in")["button_style"]
    messages = len(front_end.heard)
    time.sleep(5)
    assert messages == len(front_end.heard)
    front_end.ask("clear", sign_out=False)
    until(lambda: "jf-is-cleared" in widgets.html, front_end)
    time.sleep(0.5)
    changes = [each for each in front_end.heard[messages:] if each["msg_type"] == "comm_msg"]
    assert len(changes) <= 10, [each["content"]["data"] for each in changes]


@pytest.mark.slow
def test_the_buttons_work_without_the_extension(widgets, front_end, aws):
    """Sign in with the chosen profile, refresh, clear; disabled where there is nothing to do."""
    front_end.run("%federate panel")
    assert widgets.visible("jf-profile")
    assert (widgets.state("jf-action-refresh")["disabled"], widgets.state("jf-action-clear")["disabled"]) == (
        True,
        True,
    )
    widgets.click("sign-in")
    until(lambda: "jf-is-valid" in widgets.html, front_end)
    until(lambda: not widgets.state("jf-action-refresh")["disabled"], front_end)
    calls = len(aws.calls)
    widgets.click("refresh")
    until(lambda: len(aws.calls) > calls, front_end)
    until(lambda: not widgets.state("jf-action-clear")["disabled"], front_end)
    widgets.click("clear")
    until(lambda: "jf-is-cleared" in widgets.html, front_end)


@pytest.mark.slow
def test_a_sign_in_by_a_click_shows_its_offer_and_says_what_it_cannot_ask(widgets, front_end):
    """Without the extension nothing is pasted into a widget: the error names the line."""
    front_end.run("%federate panel")
    widgets.choose(1)
    widgets.click("sign-in")
    until(lambda: "run %federate --no-browser in a cell" in widgets.html.replace("Run", "run"), front_end)
    assert widgets.visible("jf-action-cancel")
    widgets.click("cancel")
    until(lambda: not widgets.visible("jf-action-cancel"), front_end)
    assert "--no-browser" not in widgets.html


@pytest.mark.slow
def test_the_page_and_the_code_of_a_sign_in_are_in_no_widget_where_the_extension_began_it(
    widgets, device_code, front_end
):
    """The channel tells it; where a click in plain widgets began it, they show it, and that Cancel ends it."""
    front_end.run("%federate panel")
    front_end.ask("sign_in", profile="device")
    told = front_end.until(lambda each: each["sign_in"] and each["sign_in"].get("offer"))["sign_in"]["offer"]
    until(lambda: "The sign-in is open" in widgets.html, front_end)
    assert told["code"] not in repr(widgets.models)
    front_end.ask("cancel")
    widgets.choose([*front_end.states[-1]["profiles"]].index("device"))
    widgets.click("sign-in")
    until(lambda: "The code is" in widgets.html, front_end)
    assert "press Cancel to cancel it" in widgets.html
    assert "interrupt the cell" not in widgets.html
    widgets.click("cancel")
    until(lambda: "The code is" not in widgets.html, front_end)


def test_what_the_result_of_federate_shows(widgets, front_end):
    """The live view where a person is; HTML and text where nobody is, and for the other calls."""
    cells = {
        "federate": front_end.start("%federate"),
        "alone": front_end.start("%federate", allow_stdin=False),
        "status": front_end.start("%federate status"),
        "refresh": front_end.start("%federate refresh"),
    }
    kinds = {}
    for name, cell in cells.items():
        front_end.end(cell)
        kinds[name] = set(front_end.displayed(cell)[0])
    plain = {"text/html", "text/plain"}
    assert {"federate": {MIME, VIEW, *plain}, "alone": plain, "status": plain, "refresh": plain} == kinds


@pytest.mark.slow
def test_no_widget_is_loaded_where_nobody_looks(research, start_kernel):
    """A scheduled notebook signs in without ipywidgets."""
    front_end = start_kernel()
    front_end.run("%load_ext jupyter_federation\n%federate", allow_stdin=False)
    assert "False" in front_end.run("import sys; print('ipywidgets' in sys.modules)")


@pytest.mark.slow
def test_closed_widgets_are_made_anew(widgets, front_end):
    """Widget.close_all() takes the panel with it; the next display brings another."""
    front_end.run("%federate panel\nimport ipywidgets; ipywidgets.Widget.close_all()")
    front_end.forget()
    cell = front_end.start("%federate panel")
    front_end.end(cell)
    assert widgets.of("jf-panel") == [front_end.displayed(cell)[0][VIEW]["model_id"]]
    front_end.run("%unload_ext jupyter_federation")
    closed = {each["content"]["comm_id"] for each in front_end.heard if each["msg_type"] == "comm_close"}
    assert len(widgets.models) > 30
    assert set(widgets.models) <= closed  # what is in it, and the looks of that, too
