"""Settings: where they come from, which wins, and what is said of those that will not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from liveroom import config
from liveroom.config import ConfigError, Settings
from liveroom.model import CategoryPolicy, PresencePolicy

GOOD = "kT8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0"
SECRET = "hunter2-and-nobody-else-knows-it"
JWT_IO = "a-string-secret-at-least-256-bits-long"  # the example of the site everybody looks at
REFERENCE = """TRTC_TIM_APPID TRTC_TIM_SECRET TIM_ADMINISTRATOR TIM_DOMAIN TIM_CALLBACK_TOKEN TRTC_CALLBACK_KEY
    MYSQL_HOST MYSQL_PORT MYSQL_USER MYSQL_PASSWORD MYSQL_DB REDIS_HOST REDIS_PORT REDIS_PASSWORD
    JWT_SECRET STAGE PORT"""
OWN = """CONFIG DATABASE_URL STATE_URL DATA_KEY CORS_ORIGINS TRUSTED_PROXIES LIMITS OAUTH_SECRETS OAUTH_REGISTER
    SIGNATURE_MAX_AGE TOKEN_REVOCATION UNKNOWN_TENANT ERROR_STATUS"""
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """`load(toml=…, NAME=value)` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def loaded(toml: str = "", **variables: str) -> Settings:
        if toml:
            (tmp_path / "liveroom.toml").write_text(toml, encoding="utf-8")
        return config.load(variables)

    return loaded


def complaint(load: Load, toml: str = "", **variables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(toml, **variables)
    message = str(caught.value)
    assert SECRET not in message
    assert len(message) < 400
    return message


def written(folder: Path, name: str, **variables: str) -> None:
    (folder / name).write_text("".join(f"{key}={value}\n" for key, value in variables.items()), encoding="utf-8")


def test_precedence(tmp_path: Path) -> None:
    """The process's environment, then `.env.{STAGE}`, then `.env`."""
    written(tmp_path, ".env", PORT="1", MYSQL_PORT="1", REDIS_PORT="1", MYSQL_DB="plain", STAGE="blue")
    written(tmp_path, ".env.blue", PORT="2", MYSQL_PORT="2")
    written(tmp_path, ".env.green", PORT="9", MYSQL_PORT="9")
    settings = config.load(config.environment({"PORT": "3"}, tmp_path))
    assert (settings.port, settings.mysql_port, settings.redis_port, settings.mysql_db) == (3, 2, 1, "plain")
    assert settings.stage == "blue"
    green = config.load(config.environment({"STAGE": "green"}, tmp_path))
    assert (green.port, green.redis_port, green.stage) == (9, 1, "green")
    assert config.environment({"STAGE": "red"}, tmp_path)["PORT"] == "1", "no file of that stage"


def test_files_are_those_where_the_process_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PORT", raising=False)
    assert "PORT" not in config.environment()
    written(tmp_path, ".env", PORT="'4711' # comment")
    assert config.environment()["PORT"] == "4711"


def test_defaults(load: Load) -> None:
    settings = load()
    assert (settings.port, settings.database, settings.state) == (9000, "sqlite:///data/liveroom.sqlite", "memory://")
    assert (settings.limited, settings.embedded) == (True, True)
    assert (settings.is_dev, settings.trtc_configured) == (False, False)
    assert list(settings.tenants) == ["default"]
    assert load(PORT="", STAGE=" ", LIVEROOM_LIMITS="") == settings, "empty is absent"


def test_dev_mode_switches_limits_off(load: Load) -> None:
    for dev in ("on", "off"):
        given = [load(LIVEROOM_DEV=dev, LIVEROOM_LIMITS=limits).limited for limits in ("", "on", "off")]
        assert given == [dev == "off", True, False]


def test_trtc(load: Load) -> None:
    settings = load(TRTC_TIM_APPID="1400000001", TRTC_TIM_SECRET=SECRET, TIM_ADMINISTRATOR="root", TIM_DOMAIN="im.x")
    tenant = settings.tenants["default"]
    assert (tenant.sdk_app_id, tenant.secret, tenant.administrator) == (1400000001, SECRET, "root")
    assert settings.trtc_configured
    assert (settings.tim_domain, load().tenants["default"].administrator) == ("im.x", "administrator")
    for half in ({"TRTC_TIM_APPID": "1400000001"}, {"TRTC_TIM_SECRET": SECRET}):
        assert not load(**half).trtc_configured
    callbacks = load(TIM_CALLBACK_TOKEN="t", TRTC_CALLBACK_KEY="k").tenants["default"]
    assert (callbacks.im_callback_token, callbacks.trtc_callback_key) == ("t", "k")


def test_mysql(load: Load) -> None:
    names = {"MYSQL_USER": "live", "MYSQL_PASSWORD": "p@ss:w/rd %", "MYSQL_DB": "rooms"}
    settings = load(MYSQL_HOST="db.example", MYSQL_PORT="3307", **names)
    assert settings.database == "mysql://live:p%40ss%3Aw%2Frd%20%25@db.example:3307/rooms"
    assert load(MYSQL_HOST="db.example").database == "mysql://root:@db.example:3306/live_room"
    assert load(**names).database.startswith("sqlite:"), "without a host it is not meant"
    assert load(MYSQL_HOST="h", LIVEROOM_DATABASE_URL="mysql://u:p@h/d").database == "mysql://u:p@h/d"


def test_redis(load: Load) -> None:
    settings = load(REDIS_HOST="cache.example", REDIS_PORT="6380", REDIS_PASSWORD=SECRET)
    assert (settings.state, settings.redis_password) == ("redis://cache.example:6380/0", SECRET)
    assert load(REDIS_HOST="cache.example").state == "redis://cache.example:6379/0"
    assert load(REDIS_PORT="1").state == "memory://"
    assert load(REDIS_HOST="h", LIVEROOM_STATE_URL="redis+cluster://h1:1,h2:2").state == "redis+cluster://h1:1,h2:2"
    assert load(MYSQL_HOST="h").embedded
    assert load(REDIS_HOST="h").embedded
    assert not load(MYSQL_HOST="h", REDIS_HOST="h").embedded


def test_the_names_are_the_contract_s(load: Load) -> None:
    names = {name for names in config.setting_names().values() for name in names}
    assert {f"LIVEROOM_{name}" for name in OWN.split()} <= names
    assert {name for name in names if not name.startswith("LIVEROOM_")} == set(REFERENCE.split())
    settings = load(JWT_SECRET=f"{GOOD} second", STAGE="test", PORT="80")
    assert (settings.jwt_secrets, settings.stage, settings.port) == ([GOOD, "second"], "test", 80)


@pytest.mark.parametrize("weak", ["", "default", "x" * 31, "a" * 64, f"{GOOD} default", f"default {GOOD}", JWT_IO])
def test_weak_secrets(load: Load, weak: str) -> None:
    with pytest.raises(ConfigError, match="JWT_SECRET") as caught:
        config.check_secrets(load(JWT_SECRET=weak))
    assert not {GOOD, "'default'", "x" * 31, JWT_IO} & set(str(caught.value).split())


@pytest.mark.parametrize("good", [GOOD, f"{GOOD} {GOOD[::-1]}", "钥匙锁门窗墙壁密码本子", GOOD[:31] + "x"])
def test_strong_secrets(load: Load, good: str) -> None:
    """32 bytes, not characters."""
    config.check_secrets(load(JWT_SECRET=good))


def test_the_data_key(load: Load) -> None:
    """By default the token secrets serve, for a purpose of their own; they go on opening what they sealed."""
    derived = load(JWT_SECRET=f"{GOOD} other").data_keys
    assert derived == [GOOD, "other"]
    given = load(JWT_SECRET=GOOD, LIVEROOM_DATA_KEY="one two").data_keys
    assert given[:2] == ["one", "two"]
    assert {*given} >= {"one", "two", derived[0]}


def test_oauth_secrets(load: Load) -> None:
    tenant = load(LIVEROOM_OAUTH_SECRETS="portal:s:e:cret  web:2\nx:y").tenants["default"]
    assert tenant.oauth_secrets == {"portal": "s:e:cret", "web": "2", "x": "y"}
    assert load().tenants["default"].oauth_secrets == {}


@pytest.mark.parametrize("wrong", [SECRET, f":{SECRET}", "portal:", f"portal:{SECRET} web", f"portal: {SECRET}"])
def test_oauth_secrets_that_are_no_pairs(load: Load, wrong: str) -> None:
    message = complaint(load, LIVEROOM_OAUTH_SECRETS=wrong)
    assert "LIVEROOM_OAUTH_SECRETS" in message
    assert "tag:secret" in message


def test_everything_of_a_tenant(load: Load) -> None:
    acme = load(
        """
        [tenants.acme]
        sdk_app_id = 1400000002
        secret = "s"
        aliases = ["1026227964"]
        exclusive_rooms = "move"
        reentry = "reject"
        anchor_roles = ["anchor", "dj"]
        avatars = ["https://img.example/1.png"]
        oauth_secrets = { portal = "p" }
        im_callback_token = "i"
        trtc_callback_key = "t"
        presence = { beat_timeout_s = 15, silent_timeout_s = 600, grace_s = 0 }
        categories.mlvb-show-live = { evict_after_s = 5, close_after_s = 0 }
        """
    ).tenants["acme"]
    assert (acme.name, acme.sdk_app_id, acme.secret, acme.aliases) == ("acme", 1400000002, "s", ("1026227964",))
    assert (acme.exclusive_rooms, acme.reentry, acme.anchor_roles) == ("move", "reject", {"anchor", "dj"})
    assert (acme.avatars, acme.oauth_secrets) == (("https://img.example/1.png",), {"portal": "p"})
    assert (acme.im_callback_token, acme.trtc_callback_key) == ("i", "t")
    assert acme.presence == PresencePolicy(15, 600, 0)
    assert acme.categories == {"mlvb-show-live": CategoryPolicy(5, 0)}


def test_the_default_tenant_of_the_file(load: Load) -> None:
    """The file adds to the environment, which wins."""
    more = 'oauth_secrets = { a = "file", b = "b" }'
    alone = load(f'[tenants.default]\nsdk_app_id = 1\nsecret = "file"\nreentry = "reject"\n{more}').tenants["default"]
    assert (alone.sdk_app_id, alone.secret, alone.reentry) == (1, "file", "reject")
    assert (alone.presence, CategoryPolicy()) == (PresencePolicy(30, 7200, 10), CategoryPolicy(60, 1800))
    both = load(TRTC_TIM_APPID="2", LIVEROOM_OAUTH_SECRETS="a:env", LIVEROOM_AVATARS="u1 u2").tenants["default"]
    assert (both.sdk_app_id, both.secret, both.reentry) == (2, "file", "reject")
    assert (both.oauth_secrets, both.avatars) == ({"a": "env", "b": "b"}, ("u1", "u2"))


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("LIVEROOM_LIMIT", "LIVEROOM_LIMITS"),
        ("LIVEROOM_DATABSE_URL", "LIVEROOM_DATABASE_URL"),
        ("LIVEROOM_OAUTH_SECRET", "LIVEROOM_OAUTH_SECRETS"),
        ("LIVEROOM_TRUSTED_PROXYS", "LIVEROOM_TRUSTED_PROXIES"),
    ],
)
def test_typos_in_the_environment(load: Load, typo: str, meant: str) -> None:
    message = complaint(load, **{typo: SECRET})
    assert message.split()[0] == typo
    assert f"{meant}?" in message


def test_a_name_that_is_near_no_other(load: Load) -> None:
    assert "LIVEROOM_XYZZY" in complaint(load, LIVEROOM_XYZZY=SECRET)
    assert load(XYZZY=SECRET, LIVEROOM="1") == load(), "others' variables are others' business"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("PORT", "nine"),
        ("PORT", "70000"),
        ("MYSQL_PORT", "0"),
        ("TRTC_TIM_APPID", "14x"),
        ("TRTC_TIM_APPID", SECRET),  # the two TRTC settings interchanged
        ("TRTC_TIM_APPID", "-1"),
        ("LIVEROOM_LIMITS", "true"),
        ("LIVEROOM_ERROR_STATUS", "404"),
        ("LIVEROOM_UNKNOWN_TENANT", "yes"),
        ("LIVEROOM_TOKEN_REVOCATION", "OFF"),
        ("LIVEROOM_SIGNATURE_MAX_AGE", "-1"),
    ],
)
def test_values_that_will_not_do(load: Load, name: str, wrong: str) -> None:
    message = complaint(load, **{name: wrong}).replace(SECRET, "")
    assert name in message


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("[tenant.acme]\nsdk_app_id = 1", ["tenant"]),
        ('title = "x"', ["title"]),
        ("[tenants.acme]\nsdk_appid = 1", ["acme", "sdk_appid"]),
        ('[tenants.acme]\nname = "x"', ["acme", "name"]),
        ("[tenants.acme.presence]\nbeat_timeout = 1", ["acme", "presence", "beat_timeout"]),
        ("[tenants.acme.categories.show]\nclose_after = 1", ["acme", "categories", "close_after"]),
        ('[tenants.acme]\nsdk_app_id = "1"', ["acme", "sdk_app_id"]),
        (f'[tenants.acme]\nsecret = ["{SECRET}"]', ["acme", "secret"]),
        ('[tenants.acme]\nreentry = "maybe"', ["acme", "reentry"]),
        ('[tenants.acme]\naliases = "one"', ["acme", "aliases"]),
        (f'[tenants.acme]\noauth_secrets = ["{SECRET}"]', ["acme", "oauth_secrets"]),
        ("[tenants.acme.presence]\ngrace_s = 1.5", ["acme", "presence", "grace_s"]),
        ("tenants = 1", ["tenants"]),
        (f'[tenants.acme]\nsecret = "{SECRET}', []),
        (f'[tenants.acme]\nsecret = "{SECRET}" again', ["line 2"]),
        ("[tenants.acme]\n[tenants.acme]", ["line 2"]),
    ],
)
def test_typos_in_the_file(load: Load, toml: str, named: list[str]) -> None:
    """The message names the file and the place in it, the tenant too: there may be many."""
    message = complaint(load, toml)
    assert [part for part in ("liveroom.toml", *named) if part not in message] == []


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ('[tenants.acme]\nOK\noauth_secrets = { a = "" }', ["acme", "oauth"]),
        ('[tenants.acme]\nsecret = "x"', ["acme", "sdk_app_id"]),
        ("[tenants.acme]\nsdk_app_id = 1", ["acme", "secret"]),
        ('[tenants."a-b"]\nOK', ["a-b"]),
        ('[tenants."é"]\nOK', ["é"]),
        ('[tenants.""]\nOK', ["''"]),
        (f"[tenants.{'x' * 21}]\nOK", ["x" * 21]),
        ('[tenants.a]\nOK\naliases = ["b"]\n[tenants.b]\nOK', ["'b'", "'a'"]),
        ('[tenants.a]\nOK\naliases = ["z"]\n[tenants.b]\nOK\naliases = ["z"]', ["'z'", "'a'", "'b'"]),
        ('[tenants.a]\nOK\naliases = ["default"]', ["'default'", "'a'"]),
    ],
)
def test_tenants_that_will_not_do(load: Load, toml: str, named: list[str]) -> None:
    message = complaint(load, toml.replace("OK", 'sdk_app_id = 1\nsecret = "s"'))
    assert [part for part in named if part not in message] == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe", "folder"])
def test_a_file_that_cannot_be_read(load: Load, tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "mine.toml"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    assert "mine.toml" in complaint(load, LIVEROOM_CONFIG=str(path))
    if content == "folder":
        path.rmdir()
    path.write_text('[tenants.b]\nsdk_app_id = 1\nsecret = "s"')
    assert sorted(load(LIVEROOM_CONFIG=str(path)).tenants) == ["b", "default"]
