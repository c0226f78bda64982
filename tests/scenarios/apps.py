"""The published apps, one class each: what they send, and how they take the answer."""

from apps_android import AndroidXiaoZhiBo, RoomOnAndroid
from apps_demos import KaraokeIos, LiteAvAndroid, LiteAvIos, RtcubeAndroid, RtcubeIos, TimSdkIos
from apps_ios import CachedUser, IosXiaoZhiBo, RoomOnIos
from apps_postman import Postman
from apps_web import FlutterTuikit, ImElectron, ImWeb, TuiRoomWeb

__all__ = [
    "AndroidXiaoZhiBo",
    "CachedUser",
    "FlutterTuikit",
    "ImElectron",
    "ImWeb",
    "IosXiaoZhiBo",
    "KaraokeIos",
    "LiteAvAndroid",
    "LiteAvIos",
    "Postman",
    "RoomOnAndroid",
    "RoomOnIos",
    "RtcubeAndroid",
    "RtcubeIos",
    "TimSdkIos",
    "TuiRoomWeb",
]
