"""Every refusal a client can see: its wire name and its number, one line each."""

from enum import IntEnum


class Code(IntEnum):
    """Wire numbers and names of the product's error table (the seed's spelling kept)."""

    SystemVerifyError = 98
    SystemError = 99
    ServiceUnavailable = 100
    ServiceResponseInvalid = 101
    ServiceSmsFailed = 102
    ServiceDBFailed = 103
    ServiceUnknownError = 104
    UserCodeInvalid = 200
    UserCodeExpired = 201
    UserCodeConsumed = 202
    UserTokenExpired = 203
    UserTokenInvalid = 204
    UseInfoEmpty = 205
    UserNotExists = 206
    UserEmailInvalid = 207
    UserQueryParams = 208
    UserQueryLimit = 209
    UserOAuthParams = 210
    UserAlreadyInRooms = 211
    RoomCreateParams = 2000
    RoomDestroyParams = 2001
    RoomQueryParams = 2002
    RoomLeaveParams = 2003
    RoomNotExists = 2004
    RoomsUserExists = 2006


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """An answer other than success.

    `message` is shown to end users by the published apps: one short sentence, at most 120 characters,
    without secrets. `retry_after_s` becomes the `Retry-After` header.
    """

    def __init__(self, code: Code, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def database_away() -> Refusal:
    return Refusal(Code.ServiceDBFailed, "The database is not available, please try again.")


def overloaded() -> Refusal:
    return Refusal(Code.ServiceUnavailable, "The service is busy, please try again.", retry_after_s=1)


def state_away() -> Refusal:
    return Refusal(Code.ServiceUnavailable, "A back end is not available, please try again.", retry_after_s=1)


def account_gone() -> Refusal:
    return Refusal(Code.UserNotExists, "This account does not exist.")


def token_invalid() -> Refusal:
    return Refusal(Code.UserTokenInvalid, "Please log in again.")


def token_expired() -> Refusal:
    return Refusal(Code.UserTokenExpired, "Your login has expired, please log in again.")


def room_gone() -> Refusal:
    return Refusal(Code.RoomNotExists, "This room does not exist.")


def limit_reached(retry_after_s: int) -> Refusal:
    return Refusal(Code.UserQueryLimit, "Too many requests, please try again later.", retry_after_s)
