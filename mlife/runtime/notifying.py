"""Whom alarms are told outside, by the settings `webhook`, `webhook_secret` and `mail`."""

from __future__ import annotations

from mlife.adapters.notifying import Target, ThreadedNotifier
from mlife.runtime.configuration import Settings


def notifier_of(chosen: Settings) -> ThreadedNotifier:
    """
    The notifier of a home; without settings it has nobody to tell.

    Raises:
        Misconfigured: a setting can't be used.
    """
    targets: list[Target] = []
    if chosen.webhook:
        from mlife.adapters.notify_webhook import Webhook

        secrets = tuple((chosen.webhook_secret or "").split())
        targets += [Webhook(url, secrets) for url in chosen.webhook.split()]
    if chosen.mail:
        from mlife.adapters.notify_smtp import Mailbox

        targets.append(Mailbox(chosen.mail))
    return ThreadedNotifier(targets)
