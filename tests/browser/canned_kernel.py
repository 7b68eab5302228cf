"""The kernel's half of docs/decisions/0011-front-end.md with canned states, for what runs in a test's notebook."""

import json
import secrets
import time
from pathlib import Path

from comm import create_comm
from IPython.core.getipython import get_ipython

ADA = "ada@example.org"
ROLE = "arn:aws:iam::123456789012:role/Researcher"


class CannedSide:
    """Opens the comm, answers requests on the control channel, and writes them to the file ``asked``, one in a line."""

    def __init__(self, asked, *, minutes=42.0, profile="research", protocol=1, **status):
        self.asked = Path(asked)
        self.protocol = protocol
        self.panel = secrets.token_hex(16)
        self.sign_in = None
        self.status = {"profile": profile}
        self.signed_in(minutes, **status)
        self.handled = get_ipython().kernel
        self.handled.control_handlers["federation_request"] = self.answer
        self.comm = create_comm(target_name="jupyter_federation", data=self.state("state"))

    def signed_in(self, minutes, **status):
        """A session that ends in ``minutes``."""
        end = round((time.time() + 60 * minutes) * 1000)
        self.status |= {"credentials": "valid" if minutes > 0 else "expired", "sign_in": "ok", "is_federated": True}
        self.status |= {"credentials_expire_at": end, "sign_in_expires_at": end + 3_600_000, "last_error": None}
        self.status |= {"subject": ADA, "account_id": "123456789012", "role_arn": ROLE, "provider": "oidc"} | status

    def cleared(self):
        """Nobody is signed in."""
        gone = ("credentials_expire_at", "sign_in_expires_at", "subject", "account_id", "role_arn", "last_error")
        self.status |= dict.fromkeys(gone) | {"credentials": "none", "sign_in": "none", "is_federated": False}

    def state(self, event):
        return {
            "protocol": self.protocol,
            "version": "0.1.0",
            "now": round(time.time() * 1000),
            "event": event,
            "panel": self.panel,
            "status": self.status,
            "profiles": ["research", "prod"],
            "sign_in": self.sign_in,
        }

    def say(self, event="state"):
        self.comm.send(self.state(event))

    def answer(self, stream, identities, message):
        request = message["content"]
        self.note(request)
        match request["action"]:
            case "clear":
                self.cleared()
            case "refresh":
                self.signed_in(60)
            case "sign_in":
                self.offer(request["profile"])
            case "answer":
                self.sign_in = None
                self.signed_in(60)
            case "cancel":
                self.sign_in = None
        self.handled.session.send(
            stream, "federation_reply", {"ok": True, "state": self.state("state")}, parent=message, ident=identities
        )
        if request["action"] != "state":
            self.say("cleared" if request["action"] == "clear" else "state")

    def note(self, request):
        with self.asked.open("a") as file:
            file.write(f"{json.dumps(request)}\n")

    def offer(self, profile, **more):
        """Open a sign-in."""
        offer = {"issuer": "https://login.example.org", "code": "WDJB-MJHT", "until": None}
        offer |= {"address": "https://login.example.org/device", "steps": ["Open the page and type the code there."]}
        waiting = "Waiting for your sign-in in the browser: 12 s"
        self.sign_in = {"profile": profile, "waiting": waiting, "question": None, "offer": offer} | more

    def display(self):
        """What `%federate` shows: the panel of plain widgets, and what stands in the saved notebook."""
        import ipywidgets
        from IPython.display import display

        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.status["credentials_expire_at"] / 1000))
        text = ipywidgets.HTML(
            f"<div><strong>Signed in to AWS</strong> as <span class='jf-place-subject'>%federate whoami tells</span>, "
            f"role <span class='jf-place-role'>…</span>, until <time class='jf-countdown' datetime='{end}'>{end}</time>"
            "</div><div class='jf-place-sign-in'></div>"
        )
        clear, sign_in = ipywidgets.Button(description="Clear AWS session"), ipywidgets.Button(description="Sign in")
        clear.add_class("jf-action-clear")
        sign_in.add_class("jf-action-sign-in")
        clear.on_click(lambda _: self.note({"action": "the widget's own click"}))
        box = ipywidgets.VBox([text, ipywidgets.HBox([clear, sign_in])])
        box.add_class("jf-panel")
        bundle = box._repr_mimebundle_()
        bundle |= {"application/vnd.jupyter-federation.panel+json": {"panel": self.panel}}
        bundle |= {"text/html": "<div class='jf-saved'>Signed in to AWS, as saved</div>", "text/plain": "Signed in"}
        display(bundle, raw=True)
