"""Tenants: which customer a call is for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from liveroom.errors import Code, Refusal
from liveroom.model import Tenant
from liveroom.services.tenants import Tenants
from services.rig import ACME, DEFAULT

ALIASED = replace(ACME, aliases=("vendor_1", "vendor_2"))


def configured(*tenants: Tenant, unknown_is_default: bool = False) -> Tenants:
    return Tenants({tenant.name: tenant for tenant in (DEFAULT, *tenants)}, unknown_is_default=unknown_is_default)


def test_without_a_name_it_is_the_default_tenant() -> None:
    for tenants in (configured(), configured(ALIASED), configured(ALIASED, unknown_is_default=True)):
        assert tenants.default == DEFAULT
        assert tenants.for_login("") == DEFAULT
        assert tenants.claimed("") is None


def test_a_tenant_is_known_by_its_name_and_its_aliases() -> None:
    tenants = configured(ALIASED)
    for name in ("acme", "vendor_1", "vendor_2"):
        assert tenants.for_login(name) == ALIASED
        assert tenants.claimed(name) == ALIASED
    assert tenants.for_login("default") == DEFAULT
    assert tenants.claimed("default") == DEFAULT
    assert tenants.by_name("acme") == ALIASED
    assert tenants.by_name("vendor_1") is None
    assert tenants.all() == [DEFAULT, ALIASED]


@pytest.mark.parametrize("name", ["unknown", "ACME", "acme ", "Default", "x" * 20])
def test_an_unknown_name_is_refused(name: str) -> None:
    tenants = configured(ALIASED)
    with pytest.raises(Refusal) as at_login:
        tenants.for_login(name)
    assert at_login.value.code == Code.SystemVerifyError
    with pytest.raises(Refusal) as with_a_token:
        tenants.claimed(name)
    assert with_a_token.value.code == Code.UserTokenInvalid


def test_an_unknown_name_may_stand_for_the_default_tenant() -> None:
    tenants = configured(ALIASED, unknown_is_default=True)
    assert tenants.for_login("unknown") == DEFAULT
    assert tenants.claimed("unknown") == DEFAULT
    assert tenants.claimed("acme") == ALIASED


def test_with_no_tenants_configured_a_name_is_ignored() -> None:
    tenants = configured()
    for name in ("acme", "default", "vendor_1"):
        assert tenants.for_login(name) == DEFAULT
        assert tenants.claimed(name) is None


def test_a_default_tenant_with_aliases_is_a_configured_one() -> None:
    """Its aliases are the names that apps have built in; any other name is unknown."""
    tenants = Tenants({"default": replace(DEFAULT, aliases=("vendor_1",))}, unknown_is_default=False)
    assert tenants.for_login("vendor_1").name == "default"
    with pytest.raises(Refusal):
        tenants.for_login("acme")


def test_what_a_tenant_is_called_on_the_wire() -> None:
    assert (DEFAULT.wire_name, DEFAULT.id_prefix) == ("", "")
    assert (ACME.wire_name, ACME.id_prefix) == ("acme", "acme-")
