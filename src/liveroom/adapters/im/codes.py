"""What each ErrorCode of the IM REST API asks for.

Sources: https://cloud.tencent.com/document/product/269/1671, https://trtc.io/document/34348, and the pages
of the commands.
"""

from enum import StrEnum

from liveroom.ports.messaging import Remedy


class Cure(StrEnum):
    """What to do about an answer."""

    NONE = "ok"
    RETRY = "retry"
    # As RETRY, but not at once: it is about too many calls.
    LATER = "later"
    # As LATER, and no call at all for a minute: failed verifications add up.
    REST = "rest"
    SIGN = "sign again"
    IMPORT = "import the account"
    CONFIGURE = "configure"
    GIVE_UP = "give up"


# Answers that say the wanted state is there already, or that an account is not known.
SETTLED: dict[str, frozenset[int]] = {
    "create_group": frozenset({10021, 10025}),
    "destroy_group": frozenset({10010, 10015}),
    "send_group_system_notification": frozenset({10010, 10015}),
    "account_delete": frozenset({70107}),
    "get_group_info": frozenset({10010, 10015}),
    "query_online_status": frozenset({70107}),
}

_CODES: dict[Cure, tuple[int, ...]] = {
    Cure.RETRY: (
        *(10002, 10049, 10056, 30006, 30007, 30008, 40006, 60004, 60005, 60008, 60014),
        *(70169, 70202, 70500, 90990, 90991, 90992, 90993, 90994, 90995, 90996, 90997, 90998, 90999, 91000),
    ),
    Cure.LATER: (10006, 10023, 60007, 60011, 60018, 60019),
    Cure.REST: (70050,),
    Cure.SIGN: (70001, 70002, 70003, 70005),
    Cure.IMPORT: (10019, 40003, 70107),
    Cure.CONFIGURE: (
        *(10026, 10036, 10058, 10059, 60006, 60010, 60012, 60016, 60017, 60020, 60021, 60025, 60026, 60028),
        *(70009, 70013, 70014, 70016, 70020, 70051, 70398, 70403, 71000, 72000, 72002, 90009),
    ),
    Cure.GIVE_UP: (
        *(10003, 10004, 10005, 10007, 10014, 10015, 10016, 10017, 10037, 10038),
        *(60002, 60003, 60009, 60015, 70399, 70402, 80001, 80002),
    ),
}
_CURES = {code: cure for cure, codes in _CODES.items() for code in codes}

_REMEDIES = {
    Cure.RETRY: Remedy.RETRY,
    Cure.LATER: Remedy.RETRY,
    Cure.REST: Remedy.RETRY,
    Cure.IMPORT: Remedy.RETRY,
    # A fresh UserSig that is refused again has been made with a wrong clock or a wrong key.
    Cure.SIGN: Remedy.CONFIGURE,
    Cure.CONFIGURE: Remedy.CONFIGURE,
    Cure.GIVE_UP: Remedy.GIVE_UP,
}

# What an operator should look at, where the code says it.
ADVICE = {
    10036: "the application may have no more AVChatRooms; its edition sets how many",
    10058: "the trial edition has 100 groups at most",
    60006: "TRTC_TIM_APPID is no IM application",
    60010: "TIM_ADMINISTRATOR is no administrator of the IM application",
    60020: "the IM package has expired or is not paid",
    60021: "this server's address is not on the list of those that may call",
    60026: "TIM_DOMAIN is not the domain of the application's region",
    70001: "this server's clock may be wrong",
    70009: "TRTC_TIM_SECRET is not the key of the application",
    70014: "TRTC_TIM_APPID and TRTC_TIM_SECRET are of two applications",
    70020: "TRTC_TIM_APPID is no IM application",
    70398: "the trial edition has 100 accounts at most",
    70403: "TIM_ADMINISTRATOR is no administrator of the IM application",
    71000: "deleting accounts is not allowed for the application: its console says where",
}


def cure(command: str, code: int) -> Cure:
    """What an answer to this command asks for; a code that nobody documented is the request's fault."""
    if code == 0 or code in SETTLED.get(command, ()):
        return Cure.NONE
    return _CURES.get(code, Cure.GIVE_UP)


def remedy(last: Cure) -> Remedy:
    """What is left to the caller, once all that could be done at once was done."""
    return _REMEDIES[last]
