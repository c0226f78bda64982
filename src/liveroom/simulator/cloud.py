"""What the simulated vendor knows: applications with their accounts and groups."""

from collections import Counter, deque
from typing import Any

from msgspec import Struct, field


class AppSpec(Struct, frozen=True):
    """An application as the vendor's console would make it."""

    sdk_app_id: int
    secret: str
    administrators: tuple[str, ...] = ("administrator",)
    callback_token: str = ""


class Account(Struct, rename="camel"):
    """An imported account; one that never connected is offline."""

    user_id: str
    nick: str = ""
    face_url: str = ""
    status: str = "Offline"
    platform: str = ""
    kicks: int = 0


class Group(Struct):
    """A group, and the accounts that are in it."""

    group_id: str
    type: str
    name: str
    owner: str = ""
    created_at_s: int = 0
    messages: int = 0
    texts: dict[str, Any] = field(default_factory=dict)
    members: dict[str, None] = field(default_factory=dict)
    randoms: deque[int] = field(default_factory=lambda: deque(maxlen=100))
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=100))


class App(Struct):
    """An application and what was made in it."""

    spec: AppSpec
    accounts: dict[str, Account] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)


class Cloud:
    """All applications, and how often each command was called."""

    def __init__(self, specs: list[AppSpec]) -> None:
        self.apps = {spec.sdk_app_id: App(spec) for spec in specs}
        self.calls: Counter[str] = Counter()
        self.per_second: Counter[tuple[int, str, int]] = Counter()

    def count(self, sdk_app_id: int, command: str, second: int) -> int:
        """Count a call; how many there were of this command within this second."""
        self.calls[command] += 1
        if len(self.per_second) > 1_000:
            self.per_second = Counter({key: n for key, n in self.per_second.items() if key[2] >= second - 1})
        self.per_second[sdk_app_id, command, second] += 1
        return self.per_second[sdk_app_id, command, second]

    def state(self) -> dict[str, Any]:
        """Everything, to look at; secrets are not in it."""
        apps = {
            str(app.spec.sdk_app_id): {
                "accounts": {account.user_id: account for account in app.accounts.values()},
                "groups": {
                    group.group_id: {
                        "type": group.type,
                        "name": group.name,
                        "owner": group.owner,
                        "members": list(group.members),
                        "messages": group.messages,
                        "notices": list(group.notices),
                    }
                    for group in app.groups.values()
                },
            }
            for app in self.apps.values()
        }
        return {"apps": apps, "calls": dict(self.calls)}
