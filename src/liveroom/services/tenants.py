"""Tenants: which customer a call is for."""

from collections.abc import Mapping

from liveroom.errors import Code, Refusal, token_invalid
from liveroom.model import DEFAULT_TENANT, Tenant


class Tenants:
    """The configured tenants, by name and alias. With only the default one, names are ignored."""

    def __init__(self, tenants: Mapping[str, Tenant], *, unknown_is_default: bool) -> None:
        self._by_name = dict(tenants)
        self._by_any_name = {alias: tenant for tenant in tenants.values() for alias in tenant.aliases}
        self._by_any_name |= self._by_name
        self._ignore_names = len(self._by_any_name) == 1
        self._unknown_is_default = unknown_is_default

    @property
    def default(self) -> Tenant:
        return self._by_name[DEFAULT_TENANT]

    def all(self) -> list[Tenant]:
        return list(self._by_name.values())

    def by_name(self, name: str) -> Tenant | None:
        return self._by_name.get(name)

    def for_login(self, apaas_app_id: str) -> Tenant:
        """The tenant to log in to; raises SystemVerifyError for an unknown one."""
        tenant = self._find(apaas_app_id) if apaas_app_id else self.default
        if tenant is None:
            raise Refusal(Code.SystemVerifyError, "This application is not known here.")
        return tenant

    def claimed(self, apaas_app_id: str) -> Tenant | None:
        """The tenant that a token has to be of, None for any; raises UserTokenInvalid for an unknown one."""
        if not apaas_app_id or self._ignore_names:
            return None
        tenant = self._find(apaas_app_id)
        if tenant is None:
            raise token_invalid()
        return tenant

    def _find(self, apaas_app_id: str) -> Tenant | None:
        if self._ignore_names:
            return self.default
        fallback = self.default if self._unknown_is_default else None
        return self._by_any_name.get(apaas_app_id, fallback)
