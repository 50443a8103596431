"""Every kind of command, and which of them are sweeps.

The one place that lists them: the api submits by it, the scheduler ticks by it, and a test holds it against the
jobs that are declared.
"""

from domain.accounts.links import SendLink
from domain.accounts.mail import SendAccountMail
from domain.catalog.listing import RelistProducts
from domain.inventory.hold_model import EndHold, ExtendHold, ReserveStock
from domain.inventory.model import ExpireReservations
from domain.inventory.stock_model import ImportStock, SetStock
from domain.journal.model import Command, Lane
from domain.journal.sweeps import PruneExpired, PruneJournal, RescueRuns
from domain.notifications.model import SendNotification, TellPayout
from domain.notifications.webhook_model import SendWebhook
from domain.operation.auditing import AuditCheck, SweepAudit
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder
from domain.orders.model import ApplyPromotions, CancelOrder, ConfirmOrder, PlaceOrder
from domain.orders.return_model import DecideReturn, ReceiveReturn, RequestReturn
from domain.orders.tracking import TakeTracking
from domain.payments.invoice_model import IssueInvoices
from domain.payments.model import (
    CapturePayment,
    CheckPayment,
    ConfirmPayment,
    RefundPayment,
    StartPayment,
    TakeNotice,
    VoidPayment,
)
from domain.payments.payouts import ApprovePayout, CollectPayout, MarkPayoutFailed, MarkPayoutPaid
from domain.payments.reconciliation import ReconcileCharges, RefundOrphan, SweepPayments
from domain.payments.refund_model import RefundOrder
from domain.payments.sandbox import SendSandboxWebhook
from domain.pricing.codes import MakeCodes
from domain.pricing.promotion_sweep import SweepPromotions
from domain.pricing.snapshot import SnapshotCommissions

COMMANDS: tuple[type[Command], ...] = (
    PlaceOrder,
    CancelOrder,
    ConfirmOrder,
    AcceptSellerOrder,
    ShipSellerOrder,
    DeliverSellerOrder,
    TakeTracking,
    ApplyPromotions,
    StartPayment,
    ConfirmPayment,
    CapturePayment,
    VoidPayment,
    CheckPayment,
    RefundPayment,
    RefundOrder,
    TakeNotice,
    SweepPayments,
    ReconcileCharges,
    RefundOrphan,
    SendWebhook,
    CollectPayout,
    ApprovePayout,
    MarkPayoutPaid,
    MarkPayoutFailed,
    SnapshotCommissions,
    IssueInvoices,
    RequestReturn,
    DecideReturn,
    ReceiveReturn,
    MakeCodes,
    SweepPromotions,
    SetStock,
    ImportStock,
    ReserveStock,
    ExtendHold,
    EndHold,
    ExpireReservations,
    SendLink,
    SendAccountMail,
    SendNotification,
    TellPayout,
    SendSandboxWebhook,
    RelistProducts,
    RescueRuns,
    PruneJournal,
    PruneExpired,
    SweepAudit,
    AuditCheck,
)

SWEEPS: dict[str, Command] = {
    command.job: command
    for command in (
        ExpireReservations(),
        SweepPayments(),
        SweepPromotions(),
        RelistProducts(),
        RescueRuns(),
        PruneJournal(),
        PruneExpired(),
        SweepAudit(),
    )
}
"""What ``POST /sweeps/{job}`` and the scheduler submit, by job."""


def jobs_by_lane() -> dict[Lane, list[str]]:
    """The jobs of each lane, lanes without a job included."""
    lanes: dict[Lane, list[str]] = {lane: [] for lane in Lane}
    for command in COMMANDS:
        lanes[command.lane].append(command.job)
    return lanes
