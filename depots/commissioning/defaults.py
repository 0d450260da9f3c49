"""What a bookable charger is set to, unless its operator's templates say otherwise, and why: shown to managers.

Keys of OCPP 1.6 are those of its §9, of 2.x Component.Variable of its part 2, appendix.
"""

from __future__ import annotations

from dataclasses import dataclass

from depots.back_off import USUAL


@dataclass(frozen=True)
class Wanted:
    """A setting as it should be. `also` are values as good; `otherwise` are asked for in turn where it is refused.

    `at_least`: a list that holds what `value` lists, whatever else it holds. Values are as on the wire.
    """

    key: str
    value: str
    why: str
    also: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    at_least: bool = False


REGISTER = "Energy.Active.Import.Register"
_FOR_BILLING = f"{REGISTER},Power.Active.Import"
_ALL = f"{_FOR_BILLING},SoC"

_NO_CACHE = "A card it remembers would open a place that somebody else has booked."
_STOP = "A session that Berth refuses has to end at once."
_REMOTE = "Who starts from Berth was asked already; a second question only takes time."
_PRE = "It would let a card in without asking who has booked."
_OFFLINE_LIST = "Without a connection, the cards on its list may still charge."
_OFFLINE_UNKNOWN = "Without a connection, a card nobody knows must not take a booked place."
_SAMPLES = "Energy for the bill, power for the depot's limit, and how full the battery is."
_MASTER = "Whoever is in a charger's master group stops anybody's session."
_KEEPS_LIST = "The depot lets booked cards in without a connection: the charger needs its list for that."
_INTERVAL = "Often enough to see who charges on beyond the slot, and what power is spare."
_HEARTBEAT = "A charger that is gone is noticed within minutes."
_PLUG = "A driver who is let in needs time for a heavy cable; then the place is free again."
_STATUS = "A delayed status makes a free place look taken."
_PING = "Finds a connection that is dead, and keeps modems awake."
_ATTEMPTS = "A session that cannot be told at once must not be lost, for it is billed."
_BACK_OFF = "Seconds before it connects again after its connection was lost."
_BACK_OFF_RANDOM = "Seconds at most that it waits longer by chance, so that not all come back at once."
_BACK_OFF_REPEAT = (
    "How many times it doubles that wait; more would keep it away for long after a short outage."
)
_RETRY = "Long enough for a network to come back."

DEFAULTS_16 = (
    Wanted("AuthorizationCacheEnabled", "false", _NO_CACHE),
    Wanted("StopTransactionOnInvalidId", "true", _STOP),
    Wanted("AuthorizeRemoteTxRequests", "false", _REMOTE),
    Wanted("LocalPreAuthorize", "false", _PRE),
    Wanted("LocalAuthorizeOffline", "true", _OFFLINE_LIST),
    Wanted("AllowOfflineTxForUnknownId", "false", _OFFLINE_UNKNOWN),
    Wanted(
        "MeterValuesSampledData", _ALL, _SAMPLES, otherwise=(_FOR_BILLING, REGISTER), at_least=True
    ),
    Wanted("MeterValueSampleInterval", "30", _INTERVAL),
    Wanted("HeartbeatInterval", "60", _HEARTBEAT),
    Wanted("ConnectionTimeOut", "120", _PLUG),
    Wanted("MinimumStatusDuration", "0", _STATUS),
    Wanted("WebSocketPingInterval", "60", _PING),
    Wanted("TransactionMessageAttempts", "10", _ATTEMPTS),
    Wanted("TransactionMessageRetryInterval", "30", _RETRY),
)  # fmt: skip

DEFAULTS_2X = (
    Wanted("AuthCacheCtrlr.Enabled", "false", _NO_CACHE),
    Wanted("TxCtrlr.StopTxOnInvalidId", "true", _STOP),
    Wanted("AuthCtrlr.AuthorizeRemoteStart", "false", _REMOTE),
    Wanted("AuthCtrlr.LocalPreAuthorize", "false", _PRE),
    Wanted("AuthCtrlr.LocalAuthorizeOffline", "true", _OFFLINE_LIST),
    Wanted("AuthCtrlr.OfflineTxForUnknownIdEnabled", "false", _OFFLINE_UNKNOWN),
    Wanted("AuthCtrlr.MasterPassGroupId", "", _MASTER),
    Wanted(
        "TxCtrlr.TxStartPoint", "PowerPathClosed",
        "A session begins when a card is accepted and the cable is in, not by parking there.",
        also=("Authorized",), otherwise=("Authorized",),
    ),
    Wanted(
        "TxCtrlr.TxStopPoint", "EVConnected,Authorized",
        "A session ends when the cable is out or the card's right is.",
        also=("PowerPathClosed", "Authorized"), otherwise=("Authorized",),
    ),
    Wanted("TxCtrlr.EVConnectionTimeOut", "120", _PLUG),
    Wanted("SampledDataCtrlr.TxStartedMeasurands", REGISTER, "The meter at the start is half of the bill.", at_least=True),
    Wanted(
        "SampledDataCtrlr.TxUpdatedMeasurands", _ALL, _SAMPLES, otherwise=(_FOR_BILLING, REGISTER), at_least=True
    ),
    Wanted("SampledDataCtrlr.TxEndedMeasurands", REGISTER, "The meter at the end is half of the bill.", at_least=True),
    Wanted("SampledDataCtrlr.TxUpdatedInterval", "30", _INTERVAL),
    Wanted("OCPPCommCtrlr.HeartbeatInterval", "60", _HEARTBEAT),
    Wanted("OCPPCommCtrlr.WebSocketPingInterval", "60", _PING),
    Wanted("OCPPCommCtrlr.MessageAttempts[TransactionEvent]", "10", _ATTEMPTS),
    Wanted("OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]", "30", _RETRY),
    Wanted("OCPPCommCtrlr.RetryBackOffWaitMinimum", str(USUAL.wait_minimum_s), _BACK_OFF),
    Wanted("OCPPCommCtrlr.RetryBackOffRandomRange", str(USUAL.random_range_s), _BACK_OFF_RANDOM),
    Wanted("OCPPCommCtrlr.RetryBackOffRepeatTimes", str(USUAL.repeat_times), _BACK_OFF_REPEAT),
    Wanted("ReservationCtrlr.Enabled", "true", "A booked place is kept at the plug itself."),
)  # fmt: skip

DEFAULTS = {"1.6": DEFAULTS_16, "2.x": DEFAULTS_2X}

# Besides, where the depot has its chargers keep lists.
LOCAL_LIST = {
    "1.6": Wanted("LocalAuthListEnabled", "true", _KEEPS_LIST),
    "2.x": Wanted("LocalAuthListCtrlr.Enabled", "true", _KEEPS_LIST),
}

# Off, these make what the charger still remembers worth clearing.
CACHE_KEYS = {"authorizationcacheenabled", "authcachectrlr.enabled"}
# How much may be asked at once, told by the charger itself; asked first.
LIMIT_KEYS = {
    "1.6": ("GetConfigurationMaxKeys",),
    "2.x": ("DeviceDataCtrlr.ItemsPerMessage[GetVariables]", "DeviceDataCtrlr.ItemsPerMessage[SetVariables]"),
}
