"""The simulated commands about accounts.

Sources: https://cloud.tencent.com/document/product/269/1608 and the pages beside it.
"""

from typing import Any

from liveroom.simulator.checks import Fault, listed, text
from liveroom.simulator.cloud import Account, App
from liveroom.simulator.webhooks import Webhooks, state_change

USER_ID, PROFILE_VALUE = 32, 500
MOST, MOST_QUERIED = 100, 500
UNKNOWN = "Err_TLS_PT_Open_Login_Account_Not_Exist"
PROFILE_TAGS = {"Tag_Profile_IM_Nick": "nick", "Tag_Profile_IM_Image": "face_url"}

Asked = dict[str, Any]


class AccountCommands:
    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        login = "im_open_login_svc"
        self.by_path = {
            f"{login}/account_import": self.account_import,
            f"{login}/multiaccount_import": self.multiaccount_import,
            f"{login}/account_delete": self.account_delete,
            f"{login}/account_check": self.account_check,
            f"{login}/kick": self.kick,
            "openim/query_online_status": self.query_online_status,
            "openim/querystate": self.query_online_status,
            "profile/portrait_set": self.portrait_set,
        }

    def account_import(self, app: App, _: str, asked: Asked) -> Asked:
        user_id = _user_id(asked)
        nick = text(asked, "Nick", most=PROFILE_VALUE, code=40601, required=False)
        face_url = text(asked, "FaceUrl", most=PROFILE_VALUE, code=40601, required=False)
        # No page says that a second import changes the profile, so here it does not.
        app.accounts.setdefault(user_id, Account(user_id, nick, face_url))
        return {}

    def multiaccount_import(self, app: App, _: str, asked: Asked) -> Asked:
        fresh = [item for item in listed(asked, "AccountList", MOST, 70402) if isinstance(item, dict)]
        plain = [{"UserID": user_id} for user_id in listed(asked, "Accounts", MOST, 70402)]
        failed = []
        for item in fresh + plain:
            try:
                user_id = _user_id(item)
            except Fault:
                failed.append(item.get("UserID"))
                continue
            account = app.accounts.setdefault(user_id, Account(user_id))
            account.nick = str(item.get("Nick", account.nick))
            account.face_url = str(item.get("FaceUrl", account.face_url))
        return {"FailAccounts": failed}

    def account_delete(self, app: App, _: str, asked: Asked) -> Asked:
        results = []
        for item in listed(asked, "DeleteItem", MOST, 70402):
            user_id = _user_id(item if isinstance(item, dict) else {})
            known = app.accounts.pop(user_id, None) is not None
            code, info = (0, "") if known else (70107, UNKNOWN)
            results.append({"UserID": user_id, "ResultCode": code, "ResultInfo": info})
        return {"ResultItem": results}

    def account_check(self, app: App, _: str, asked: Asked) -> Asked:
        results = []
        for item in listed(asked, "CheckItem", MOST, 70402):
            user_id = _user_id(item if isinstance(item, dict) else {})
            status = "Imported" if user_id in app.accounts else "NotImported"
            results.append({"UserID": user_id, "ResultCode": 0, "ResultInfo": "", "AccountStatus": status})
        return {"ResultItem": results}

    def kick(self, app: App, _: str, asked: Asked) -> Asked:
        account = app.accounts.get(_user_id(asked))
        if account is None:
            raise Fault(70107, UNKNOWN)
        account.kicks += 1
        account.status = "Offline"
        body = state_change(account.user_id, "Logout", "Unregister")
        self._webhooks.send_soon(app, "State.StateChange", "RESTAPI", body)
        return {}

    def query_online_status(self, app: App, _: str, asked: Asked) -> Asked:
        results, errors = [], []
        for user_id in listed(asked, "To_Account", MOST_QUERIED, 90011):
            account = app.accounts.get(user_id) if isinstance(user_id, str) else None
            if account is None:
                errors.append({"To_Account": user_id, "ErrorCode": 70107})
            else:
                results.append({"To_Account": user_id, "Status": account.status})
        if errors and not results:
            raise Fault(70107, UNKNOWN, QueryResult=[], ErrorList=errors)
        return {"QueryResult": results, **({"ErrorList": errors} if errors else {})}

    def portrait_set(self, app: App, _: str, asked: Asked) -> Asked:
        account = app.accounts.get(text(asked, "From_Account", most=USER_ID, code=40001))
        if account is None:
            raise Fault(40003, "Err_Profile_Invalid_Account", ErrorDisplay="")
        for item in listed(asked, "ProfileItem", MOST, 40001):
            tag, value = (str(item.get("Tag")), item.get("Value")) if isinstance(item, dict) else ("", None)
            if not tag.startswith(("Tag_Profile_IM_", "Tag_Profile_Custom_")):
                raise Fault(40008, "no such Tag", ErrorDisplay="")
            if tag in PROFILE_TAGS:
                given = text({"Value": value}, "Value", most=PROFILE_VALUE, code=40601, required=False)
                setattr(account, PROFILE_TAGS[tag], given)
        return {"ErrorDisplay": ""}


def _user_id(asked: Asked) -> str:
    # UserID is what pages since 2022 call it, Identifier what earlier ones do.
    value = asked.get("UserID", asked.get("Identifier"))
    if value is not None and not isinstance(value, str):
        raise Fault(60015, "an account has to be a string")
    if not value or len(value.encode()) > USER_ID or not (value.isascii() and value.isprintable()):
        raise Fault(70402, "UserID is missing or illegal")
    return value
