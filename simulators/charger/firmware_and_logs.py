"""What a charger does over minutes because its CSMS asked for it: hand files over, and fetch and install firmware."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from simulators.charger import file_transfers
from simulators.charger.ocpp_version import Transfer, read_timestamp
from simulators.charger.script import Json

if TYPE_CHECKING:
    from simulators.charger.charger import SimulatedCharger

IDLE_MESSAGES = {
    "1.6": {"DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification"},
    "2.x": {"FirmwareStatusNotification", "LogStatusNotification"},
}
LONGEST_VERSION = 50


class FirmwareAndLogs:
    """A newer one of a kind takes the place of the one before it."""

    def __init__(self, charger: SimulatedCharger) -> None:
        self._charger = charger
        self._latest: dict[str, Transfer] = {}

    def idle_messages(self) -> set[str]:
        """Statuses it can be asked for at any time."""
        return IDLE_MESSAGES.get(self._charger.ocpp.version, IDLE_MESSAGES["2.x"])

    async def tell_idle(self, notification: str) -> None:
        await self._tell(Transfer(notification, ""), "Idle")

    def upload(self, transfer: Transfer) -> None:
        """Send its latest frames as a text file to the location."""
        self._latest[transfer.notification] = transfer
        self._charger.soon(self._upload(transfer))

    def take_log_request(self, asked: Json) -> Json:
        """GetLog, which is the same in 2.x and in the security extension of 1.6."""
        name = f"{self._charger.identity}-{asked['requestId']}.txt".replace("/", "-")
        location = asked["log"]["remoteLocation"]
        is_replaced = "LogStatusNotification" in self._latest
        self.upload(Transfer("LogStatusNotification", location, asked["requestId"], name))
        return {"status": "AcceptedCanceled" if is_replaced else "Accepted", "filename": name}

    def install(self, transfer: Transfer) -> None:
        self._latest[transfer.notification] = transfer
        self._charger.soon(self._install(transfer))

    def take_firmware_request(self, asked: Json, notification: str) -> Json:
        """Of 2.x, and signed in 1.6. The signature is not looked at: there is no manufacturer here."""
        firmware = asked["firmware"]
        transfer = Transfer(
            notification, firmware["location"], asked["requestId"],
            not_before=read_timestamp(firmware["retrieveDateTime"]),
            install_at=read_timestamp(firmware["installDateTime"]) if "installDateTime" in firmware else None,
        )  # fmt: skip
        is_replaced = notification in self._latest
        self.install(transfer)
        return {"status": "AcceptedCanceled" if is_replaced else "Accepted"}

    async def _upload(self, transfer: Transfer) -> None:
        await self._tell(transfer, "Uploading")
        content = "\n".join(list(self._charger.frames)[-1000:]).encode()
        try:
            await file_transfers.upload(transfer.location, transfer.name, content)
        except file_transfers.TransferFailed:
            failed = "UploadFailed" if transfer.request_id is None else "UploadFailure"
            await self._finish(transfer, failed)
        else:
            await self._finish(transfer, "Uploaded")

    async def _install(self, transfer: Transfer) -> None:
        charger = self._charger
        if not await self._wait(transfer, transfer.not_before):
            return
        await self._tell(transfer, "Downloading")
        try:
            await file_transfers.download(transfer.location)
        except file_transfers.TransferFailed:
            await self._finish(transfer, "DownloadFailed")
            return
        await self._tell(transfer, "Downloaded")
        if transfer.install_at is not None and charger.now() < transfer.install_at:
            await self._tell(transfer, "InstallScheduled")
            if not await self._wait(transfer, transfer.install_at):
                return
        await self._tell(transfer, "Installing")
        name = PurePosixPath(unquote(urlsplit(transfer.location).path)).stem
        charger.firmware = (name or "installed")[:LONGEST_VERSION]
        # The restart ends the tasks of the connection, this one too: what is left to tell is told after it.
        charger.after_restart.append(self._finish(transfer, "Installed"))
        await charger.on_reset()

    async def _wait(self, transfer: Transfer, until: datetime | None) -> bool:
        """False where a newer one has taken its place meanwhile."""
        while until is not None and self._charger.now() < until:
            await asyncio.sleep(1)
            if self._latest.get(transfer.notification) is not transfer:
                return False
        return True

    async def _finish(self, transfer: Transfer, status: str) -> None:
        if self._latest.get(transfer.notification) is transfer:
            del self._latest[transfer.notification]
        await self._tell(transfer, status)

    async def _tell(self, transfer: Transfer, status: str) -> None:
        await self._charger.call(*self._charger.ocpp.transfer_status(transfer, status))
