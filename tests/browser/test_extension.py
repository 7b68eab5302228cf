"""The JupyterLab extension in a real Chromium: with kernels that say canned states (`canned_kernel`)."""

import json
import re
import time
from pathlib import Path

import nbformat
import pytest
from pace import pace
from screens import CONTRAST, Screen

pytestmark = [pytest.mark.slow, pytest.mark.browser]

HERE = Path(__file__).parent


@pytest.fixture
def open_screen(open_notebook, tmp_path):
    """``open_screen(*cells, **status)``: a notebook whose kernel says the canned ``status``, and then ``cells``."""
    built = (Path(__file__).parents[2] / "jupyter_federation" / "labextension" / "package.json").exists()
    assert built, "the JupyterLab extension is not built: `make setup` builds it, with npm"

    def make(*cells, shown=True, url=None, **status):
        begin = (
            f"import sys; sys.path.insert(0, {str(HERE)!r})\nfrom canned_kernel import CannedSide\n"
            f"side = CannedSide({str(tmp_path / 'asked')!r}, **{status!r})\nside.display()"
        )
        screen = Screen(open_notebook(begin, *cells, url=url))
        screen.tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        screen.run(0)
        if shown:
            screen.item.wait_for()
            screen.panel.wait_for()
        return screen

    return make


@pytest.mark.parametrize("place", ["JupyterLab", "Notebook 7"])
def test_the_countdown_runs_without_a_message_to_the_kernel(open_screen, place):
    """The panel, and the status item where there is one, tick for twenty seconds without a message from or to it."""
    frames = []

    def watch(socket):
        for direction in ("framesent", "framereceived") if "/api/kernels/" in socket.url else ():
            socket.on(direction, lambda frame: frames.append(frame))  # noqa: PLW0108 - Playwright sets an attribute

    screen = open_screen()
    screen.save()
    screen.tab.on("websocket", watch)
    if place == "Notebook 7":
        screen.tab.goto(re.sub(r"lab/workspaces/[^/]+/tree/", "notebooks/", screen.tab.url))
    else:
        screen.tab.reload()
        screen.tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    screen.panel.locator("time").filter(has_text="left").wait_for()
    heard = -1
    while heard != len(frames):  # what a page says when it begins
        heard = len(frames)
        screen.tab.wait_for_timeout(4000)  # in which, other than while asleep, Playwright hears
    assert frames  # there is something to hear
    frames.clear()
    seen = set()
    for _ in range(20):
        if place == "JupyterLab":
            assert re.fullmatch(r"AWS research\s*\d\d:\d\d", screen.item.inner_text())
        assert re.search(r"\(\d\d:\d\d left\)", screen.panel.locator("time").inner_text())
        seen.add(screen.panel.locator("time").inner_text())
        time.sleep(1)
    assert [] == [
        frame for frame in frames if "debug_re" not in str(frame)
    ]  # JupyterLab's debugger looks when it likes
    assert len(seen) >= 18


def test_colours_words_and_contrast_follow_the_state(open_screen):
    """Ordinary, orange, red: with text that can be read on it, in the light and the dark theme, and no axe error."""
    states = {
        "ordinary": "side.signed_in(42)",
        "warn": "side.signed_in(4.5, sign_in='not_renewable')",
        "alarm": "side.signed_in(55, sign_in='needs_you')",
        "quiet": "side.cleared()",
    }
    screen = open_screen(*(f"{code}; side.say()" for code in states.values()))
    said = screen.tab.locator(".jf-status-item [role=status]")
    sentences = []
    for theme in ("Light", "Dark"):
        if theme == "Dark":
            screen.command("apputils:change-theme", theme="JupyterLab Dark")
            screen.tab.locator("body[data-jp-theme-light=false]").wait_for(state="attached")
        for number, level in enumerate(states, 1):
            screen.run(number)
            screen.tab.locator(f".jf-status-button[data-level={level}]").wait_for()
            screen.item.click()
            screen.notebook.picture(f"extension-{theme.lower()}-{level}")
            texts = screen.popup.locator("div, span, button, time").filter(visible=True).all()
            assert min(text.evaluate(CONTRAST) for text in [screen.item, *texts]) >= 4.5
            assert [] == screen.violations(".jf-popup", ".jf-status-item", ".jp-OutputArea .jf-panel")
            screen.tab.keyboard.press("Escape")
            sentences.append(said.inner_text())
    assert 4 == len(set(sentences))
    screen.command("apputils:change-theme", theme="JupyterLab Light")
    screen.tab.set_viewport_size({"width": 480, "height": 700})
    screen.run(1)
    screen.item.click()
    assert screen.popup.bounding_box()["x"] >= 0
    screen.notebook.picture("extension-narrow")


@pytest.mark.parametrize("place", ["the panel", "the popup"])
def test_a_click_acts_within_a_second_while_a_cell_sleeps(open_screen, place):
    """Clear AWS session is at the kernel within a second, by the control channel and not by the widget as well."""
    screen = open_screen("import time; time.sleep(60)")
    screen.run(1)
    screen.tab.locator(".jp-CodeCell").nth(1).get_by_text("[*]:").wait_for()
    if place == "the popup":
        screen.item.click()
    box = screen.panel if place == "the panel" else screen.popup
    box.get_by_role("button", name="Clear AWS session").click()
    assert screen.awaits("clear") < pace()
    screen.tab.get_by_text("AWS research signed out").wait_for()
    screen.tab.locator(".jp-CodeCell").nth(1).get_by_text("[*]:").wait_for()
    screen.tab.keyboard.press("Escape")
    screen.tab.get_by_role("menuitem", name="Kernel", exact=True).click()
    screen.tab.get_by_role("menuitem", name="Interrupt Kernel").click()
    screen.tab.locator(".jp-CodeCell").nth(1).get_by_text("[2]:").wait_for()
    assert [{"protocol": 1, "action": "clear", "sign_out": False}] == screen.asked()


def test_the_keyboard_alone_does_everything(open_screen):
    """Enter opens the popup, Tab goes through it, Enter acts, Escape closes it and gives the focus back."""
    screen = open_screen()
    screen.item.focus()
    screen.tab.keyboard.press("Enter")
    screen.popup.wait_for()
    for _ in range(10):
        if screen.tab.evaluate("document.activeElement.textContent") == "Refresh":
            break
        screen.tab.keyboard.press("Tab")
    screen.tab.keyboard.press("Enter")
    screen.awaits("refresh")
    screen.tab.keyboard.press("Escape")
    screen.popup.wait_for(state="detached")
    assert screen.tab.evaluate("document.activeElement.classList.contains('jf-status-button')")


COUNT = """() => {
    const read_out = '[role=status], [role=alert], [aria-live=polite], [aria-live=assertive]';
    Object.assign(window, { announced: [], ticked: 0 });
    new MutationObserver(records => {
        for (const { target } of records) {
            const at = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
            const region = at.closest('.jf-status-item, .jf-panel') && at.closest(read_out);
            region ? window.announced.push(region.textContent) : window.ticked++;
        }
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
    return document.querySelectorAll('.jf-status-item [role=status]').length;
}"""


@pytest.mark.parametrize(
    ("sign_in", "announced"),
    [
        pytest.param("not_renewable", ["AWS research: The AWS session ends in less than 5 minutes."], id="not renewed"),
        pytest.param("ok", [], id="renewed"),
    ],
)
def test_a_screen_reader_hears_of_thresholds_and_of_nothing_else(open_screen, sign_in, announced):
    """The clock runs past five minutes, which alarms where nothing renews the session, and past the end: once each."""
    screen = open_screen(f"side.signed_in(0.12, sign_in={sign_in!r}); side.say()", minutes=5.12, sign_in=sign_in)
    assert 1 == screen.tab.evaluate(COUNT)
    screen.tab.wait_for_timeout(11_000)
    assert announced == screen.tab.evaluate("window.announced")
    assert screen.tab.evaluate("window.ticked") >= 16  # status item and panel
    screen.tab.locator(".jf-status-button[data-level=warn]").wait_for()
    screen.item.click()
    heading = "The AWS session ends in" if announced else "The AWS session is renewed in the background."
    screen.popup.locator(".jf-heading").get_by_text(heading).wait_for()
    screen.tab.keyboard.press("Escape")
    screen.run(1)
    screen.tab.wait_for_timeout(11_000)
    assert [*announced, "AWS research: The AWS session has expired."] == screen.tab.evaluate("window.announced")


def test_a_code_is_copied_over_plain_http(open_screen, plain_url):
    """By the panel's button and the cell's, where the browser has no `navigator.clipboard`."""
    offer = "Offer(issuer='i', client_id='c', steps=(), code='PLAIN-CELL').html()"
    in_a_cell = f"from IPython.display import HTML; from jupyter_federation.offer import Offer; HTML({offer})"
    screen = open_screen("side.offer('prod'); side.say()", in_a_cell, "", "", url=plain_url)
    assert [False, False] == screen.tab.evaluate("[window.isSecureContext, 'clipboard' in navigator]")
    screen.run(1)
    screen.run(2)
    editors = screen.tab.locator(".jp-CodeCell .cm-content")
    cell = screen.notebook.outputs(2)
    for number, box, code in ((3, screen.panel, "WDJB-MJHT"), (4, cell, "PLAIN-CELL")):
        box.get_by_role("button", name="Copy").click()
        box.get_by_text("Copied").wait_for()
        editors.nth(number).click()
        screen.tab.keyboard.press("Control+v")
        editors.nth(number).get_by_text(code, exact=True).wait_for()


def test_a_sign_in_is_offered_asked_about_and_cancelled(open_screen):
    """Panel and popup show link, code and waiting; what is typed reaches the kernel and stands nowhere in the page."""
    screen = open_screen("side.offer('prod', question='Paste the address:'); side.say()", minutes=-1)
    screen.item.click()
    screen.popup.get_by_label("Federation profile").select_option("prod")
    screen.popup.get_by_role("button", name="Sign in", exact=True).click()
    screen.awaits("sign_in")
    assert "prod" == screen.asked()[0]["profile"]
    for box in (screen.popup, screen.panel):
        link = box.get_by_role("link", name="Open the sign-in page")
        link.wait_for()
        assert "https://login.example.org/device" == link.get_attribute("href")
        assert box.get_by_text("WDJB-MJHT").is_visible()
        assert box.get_by_text("Waiting for your sign-in in the browser: 12 s").is_visible()
    screen.notebook.picture("extension-offer")
    assert [] == screen.violations(".jf-popup", ".jp-OutputArea .jf-panel")
    screen.popup.get_by_role("button", name="Copy the code").click()
    screen.popup.get_by_text("Copied").wait_for()
    assert "WDJB-MJHT" == screen.tab.evaluate("navigator.clipboard.readText()")
    screen.popup.get_by_role("button", name="Cancel").click()
    screen.awaits("sign_in", "cancel")
    screen.panel.get_by_role("link").wait_for(state="detached")
    screen.tab.keyboard.press("Escape")
    screen.run(1)
    screen.panel.get_by_role("button", name="Paste").click()
    field = screen.tab.locator(".jp-Dialog input")
    assert "password" == field.get_attribute("type")
    field.fill("http://127.0.0.1/?code=typed-in-secret")
    screen.tab.keyboard.press("Enter")
    screen.awaits("sign_in", "cancel", "answer")
    assert "http://127.0.0.1/?code=typed-in-secret" == screen.asked()[-1]["text"]
    assert "typed-in-secret" not in screen.tab.content()
    assert "typed-in-secret" not in screen.save() + screen.tab.evaluate("JSON.stringify(sessionStorage)")


def test_a_notification_comes_once_and_goes_when_it_is_mended(open_screen):
    """Needs you: one notification, also after a second message, whose button signs in; a new session takes it away."""
    needs_you = "side.signed_in(55, sign_in='needs_you'); side.say(); side.say()"
    screen = open_screen(needs_you, "side.say()", "side.sign_in = None; side.signed_in(60); side.say()")
    toast = screen.tab.locator(".Toastify__toast", has_text="The sign-in cannot be renewed; the AWS session ends in")
    screen.run(1)
    toast.wait_for()
    screen.run(2)
    time.sleep(1)
    assert 1 == toast.count()
    screen.notebook.picture("extension-notification")
    toast.get_by_role("button", name="Sign in").click()
    screen.awaits("sign_in")
    screen.popup.get_by_role("link", name="Open the sign-in page").wait_for()
    screen.run(3)
    screen.tab.locator(".jf-status-button[data-level=ordinary]").wait_for()
    toast.wait_for(state="detached")


def test_the_item_follows_the_notebook_in_front(open_screen, open_notebook):
    """Beside a notebook without us the item is hidden; back in front of ours it is there."""
    screen = open_screen("1 + 1")
    screen.command("notebook:create-new", kernelName="python3", activate=True)
    screen.item.wait_for(state="hidden")
    screen.tab.get_by_role("tab", name=screen.notebook.path.name).click()
    screen.item.wait_for()
    assert "AWS research" in screen.item.inner_text()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "while a cell runs"])
def test_a_reload_finds_the_kernel_again(open_screen, busy):
    """After a reload item and panel act again; while a cell runs too, because the control channel answers."""
    screen = open_screen("import time; time.sleep(40)")
    screen.save()
    if busy:
        screen.run(1)
        screen.tab.locator(".jp-CodeCell").nth(1).get_by_text("[*]:").wait_for()
    screen.tab.reload()
    screen.item.wait_for()
    screen.item.click()
    screen.popup.get_by_text("ada@example.org").wait_for()  # which only the kernel can have said
    assert "ada@example.org" not in screen.tab.evaluate("JSON.stringify(sessionStorage)")
    screen.popup.get_by_role("button", name="Refresh").click()
    assert screen.awaits("refresh") < pace()


def test_a_restart_from_elsewhere_takes_the_item_away(open_screen, lab):
    """The kernel is restarted by another tab; here the item goes, and comes back when the comm opens anew."""
    screen = open_screen()
    kernel = next(
        session["kernel"]["id"]
        for session in json.loads(lab.request("GET", "api/sessions").text)
        if session["path"] == screen.notebook.path.name
    )
    lab.request("POST", f"api/kernels/{kernel}/restart", body="{}")
    screen.item.wait_for(state="hidden")
    screen.run(0)
    screen.item.wait_for()


FORGED = (
    "<div class='jf-panel jf-panel-{panel}'><button class='jf-action-clear'>Clear</button> "
    "<span class='jf-action-sign-in'>More</span> <span class='jf-place-subject'>nobody</span></div>"
)


def press(forged):
    """Each of its marks; nobody's name has been filled in."""
    forged.get_by_text("nobody").wait_for()
    for mark in ("Clear", "More"):
        forged.get_by_text(mark).click()


def is_asked_by_the_popup_alone(screen):
    """The first request that comes to the kernel is that of a button of ours."""
    screen.item.click()
    screen.popup.get_by_role("button", name="Refresh").click()
    screen.awaits("refresh")


def test_markup_in_an_output_starts_nothing(open_screen):
    """Somebody's HTML with our marks and the panel's very id, which every saved notebook holds, is no panel."""
    code = f"from IPython.display import HTML, display; display(HTML({FORGED!r}.format(panel=side.panel)))"
    screen = open_screen(code)
    screen.run(1)
    press(screen.notebook.outputs(1))
    is_asked_by_the_popup_alone(screen)


@pytest.mark.parametrize("where", [".jp-MarkdownOutput", ".jp-OutputArea-output"])
def test_markup_in_another_notebook_starts_nothing(open_screen, lab, where):
    """Nor a text in a notebook that was sent to the person and never run, beside the one whose panel it names."""
    screen = open_screen()
    cells = json.loads(screen.save("panel+json"))["cells"]
    panel = cells[0]["outputs"][0]["data"]["application/vnd.jupyter-federation.panel+json"]["panel"]
    forged = FORGED.replace("button", "span").format(panel=panel)
    output = nbformat.v4.new_output("display_data", data={"text/html": forged})
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(forged),
            nbformat.v4.new_code_cell("1", execution_count=1, outputs=[output]),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}},
    )
    nbformat.write(notebook, lab.home / f"sent-{screen.notebook.path.name}")
    screen.command("docmanager:open", path=f"sent-{screen.notebook.path.name}")
    forged = screen.tab.locator(f"{where} .jf-panel").filter(has_text="More")
    assert panel in forged.get_attribute("class")  # JupyterLab's sanitizer leaves classes
    press(forged)
    screen.tab.get_by_role("tab", name=screen.notebook.path.name, exact=True).click()
    is_asked_by_the_popup_alone(screen)


def test_a_kernel_of_another_version_is_shown_and_asked_nothing(open_screen):
    """Profile and time are there, no button is, and a sentence says which side to update."""
    screen = open_screen(protocol=2)
    assert "AWS research" in screen.item.inner_text()
    screen.item.click()
    screen.popup.get_by_text("update it where JupyterLab is installed").wait_for()
    assert 0 == screen.popup.get_by_role("button").count()
    screen.panel.get_by_role("button", name="Clear AWS session").click()
    screen.awaits("the widget's own click")


def test_without_its_kernel_a_saved_panel_is_its_html(open_screen, lab):
    """The live panel is replaced by the saved HTML when the kernel has gone; nothing reads "model not found"."""
    screen = open_screen()
    screen.save()
    for session in json.loads(lab.request("GET", "api/sessions").text):
        lab.request("DELETE", f"api/sessions/{session['id']}")
    screen.tab.reload()
    screen.notebook.outputs(0).get_by_text("Signed in to AWS, as saved").wait_for()
    assert screen.item.is_hidden()
    assert "ada@example.org" not in screen.notebook.path.read_text()


def test_the_panel_opens_beside_the_notebook(open_screen):
    """Open panel shows a second live view of the same panel, also while a cell runs."""
    screen = open_screen("import time; time.sleep(20)")
    screen.run(1)
    screen.item.click()
    screen.popup.get_by_role("button", name="Open panel").click()
    view = screen.tab.locator(".jf-view .jf-panel")
    view.get_by_text("ada@example.org").wait_for()
    screen.notebook.picture("extension-panel-beside")
    view.get_by_role("button", name="Clear AWS session").click()
    assert screen.awaits("clear") < pace()


def test_a_panel_that_was_closed_is_let_go(open_screen):
    """However often it is opened beside its notebook: nothing holds the closed views."""
    screen = open_screen()
    protocol = screen.tab.context.new_cdp_session(screen.tab)
    view = "[...jupyterapp.shell.widgets('main')].find(each => each.id.startsWith('jf-view-'))"
    for _ in range(3):
        screen.command("federation:open-panel")
        screen.tab.locator(".jf-view .jf-panel").wait_for()
        screen.tab.evaluate(f"() => {{ const it = {view}; (window.views ??= []).push(new WeakRef(it)); it.close(); }}")
        screen.tab.locator(".jf-view").wait_for(state="detached")
    screen.item.click()  # the focus is elsewhere
    end = time.monotonic() + 20
    while screen.tab.evaluate("views.filter(each => each.deref()).length"):
        assert time.monotonic() < end
        protocol.send("HeapProfiler.collectGarbage")
        time.sleep(0.3)


def test_notebook_7_has_the_panel_and_the_notifications(open_screen):
    """In Notebook 7, which has no status bar, the panel ticks and acts while a cell runs, and a notification comes."""
    screen = open_screen(
        "side.signed_in(55, sign_in='needs_you'); side.say(); import time; time.sleep(20)", shown=False
    )
    screen.tab.locator(".jp-OutputArea .jf-panel").wait_for()
    screen.save()
    screen.tab.goto(re.sub(r"lab/workspaces/[^/]+/tree/", "notebooks/", screen.tab.url))
    screen.panel.locator("time").filter(has_text="left").wait_for()
    screen.run(1)
    screen.tab.get_by_text("The sign-in cannot be renewed; the AWS session ends in").first.wait_for()
    screen.notebook.picture("extension-notebook-7")
    screen.panel.get_by_role("button", name="Clear AWS session").click()
    assert screen.awaits("clear") < pace()
