"""Every kind of fault as a card: a name, and what it does to the running system."""

import asyncio
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.sender import Sender
from tests.faults import (
    DEADLOCK,
    EVERY_TRANSACTION,
    FULL,
    PARKED_FOLLOW_UPS,
    QUEUES,
    SERIALIZATION,
    Spoilt,
    deliver,
    poisoned,
    poisoned_follow_up,
)
from tests.rabbitmq import RabbitMQ
from tests.services import Fleet, Service

HOUR = 3600.0


@dataclass(frozen=True)
class Card:
    """One kind of fault; `strike` returns when the fault is over."""

    name: str
    strike: Callable[[], None]


class Deck:
    """All cards, dealt in a shuffled order; shuffled again when each has been dealt.

    Args:
        running: the services.
        sender: who sends to them meanwhile.
        spoilt: their database.
        broker: their broker, on the virtual host `vhost`.
        chance: decides the order and how long each fault lasts.
        outage: seconds that PostgreSQL is stopped for; other faults last at most a tenth.
    """

    def __init__(
        self,
        running: Fleet,
        sender: Sender,
        spoilt: Spoilt,
        broker: RabbitMQ,
        vhost: str,
        chance: random.Random,
        outage: float,
    ) -> None:
        self._running = running
        self._sender = sender
        self._spoilt = spoilt
        self._broker = broker
        self._vhost = vhost
        self._chance = chance
        self._outage = outage
        self._poisoned = 0

    def cards(self) -> list[Card]:
        """Every kind of fault, once."""
        kills = [
            Card(f"kill -9 {'+'.join(service.roles)}", lambda service=service: self._kill(service))
            for service in self._running.services
        ]
        return [
            *kills,
            Card("a worker hangs", self._hang),
            Card("RabbitMQ stopped", self._stop_the_broker),
            Card("RabbitMQ connections closed", self._close_broker_connections),
            Card("all queues deleted", self._delete_queues),
            Card("deliveries twice, reversed, strange", self._deliver),
            Card(f"PostgreSQL stopped {self._outage:g} s", self._stop_the_database),
            Card("PostgreSQL crashed", self._crash_the_database),
            Card("PostgreSQL sessions ended", self._cut),
            Card("disk full for senders", lambda: self._refuse("alerts", FULL)),
            Card("disk full for workers", lambda: self._refuse("triage_results", FULL)),
            Card(
                "serialization failures",
                lambda: self._refuse(EVERY_TRANSACTION, SERIALIZATION, 0.5),
            ),
            Card("deadlocks", lambda: self._refuse(EVERY_TRANSACTION, DEADLOCK, 0.5)),
            Card("clock +1 h", lambda: self._jump(HOUR)),
            Card("clock -1 h", lambda: self._jump(-HOUR)),
            Card("poison in every stage", self._poison),
        ]

    def deal(self) -> Iterator[Card]:
        """Cards without end; each kind comes once before any comes again."""
        while True:
            cards = self.cards()
            self._chance.shuffle(cards)
            yield from cards

    @property
    def poisoned(self) -> int:
        """How many alerts no stage could store."""
        return self._poisoned

    def _last(self) -> None:
        """For as long as a fault lasts that is not the long one."""
        time.sleep(self._chance.uniform(0.3, 1.0) * self._outage / 10)

    def _worker(self) -> Service:
        return self._chance.choice([s for s in self._running.services if "ingestor" not in s.roles])

    def _kill(self, victim: Service) -> None:
        victim.kill()
        self._last()
        victim.start()
        victim.wait()

    def _hang(self) -> None:
        process = self._worker().process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        self._last()
        process.send_signal(signal.SIGCONT)

    def _stop_the_broker(self) -> None:
        self._broker.control("stop_app")
        self._last()
        self._broker.control("start_app")

    def _close_broker_connections(self) -> None:
        self._broker.control("close_all_connections", "chaos", "-p", self._vhost)

    def _delete_queues(self) -> None:
        for name in QUEUES:
            self._broker.control("delete_queue", name, "-p", self._vhost, check=False)

    def _deliver(self) -> None:
        asyncio.run(deliver(self._running.broker, self._sender.latest(150)))

    def _stop_the_database(self) -> None:
        self._spoilt.server.stop()
        time.sleep(self._outage)
        self._spoilt.server.start()

    def _crash_the_database(self) -> None:
        self._spoilt.server.stop(immediately=True)
        self._last()
        self._spoilt.server.start()

    def _cut(self) -> None:
        self._spoilt.cut_connections()

    def _refuse(self, table: str, fault: tuple[str, str], share: float = 1.0) -> None:
        with self._spoilt.refusing(table, fault, share):
            self._last()

    def _jump(self, ahead: float) -> None:
        victims = [self._worker(), self._running.ingestor]
        for victim in victims:
            victim.set_clock(ahead)
        self._last()
        for victim in victims:
            victim.set_clock(0)

    def _poison(self) -> None:
        with self._spoilt.poisonous():
            alerts = poisoned(f"number {self._poisoned}")
            ids = set(self._sender.send(alerts))
            self._poisoned += len(ids)
            followed = set(self._sender.send([poisoned_follow_up(f"number {self._poisoned}")]))
            end = time.monotonic() + 60
            while time.monotonic() < end:
                parked = self._spoilt.ids("SELECT alert_id FROM alerts WHERE status = 'parked'")
                if ids <= set(parked) and followed <= set(self._spoilt.ids(PARKED_FOLLOW_UPS)):
                    return
                time.sleep(0.2)
            raise AssertionError("poisoned alerts were not parked within a minute")
