"""A table at which members negotiate: updates arrive late, out of order, twice or never, as seeded."""

import heapq
import itertools

import numpy as np

from behaviours.decisions.coalition.overlay import neighbours_of
from behaviours.decisions.coalition.packing import Update, pack, unpack
from behaviours.decisions.coalition.schedule_selection import Selection, kicked_in
from behaviours.decisions.coalition.termination import TerminationDetector


class Table:
    """Members of a group who negotiate run by run."""

    def __init__(self, rows, seed=0, loss=0.0, doubling=0.0, costs=None, weight=0.0):
        self.size = len(rows)
        self.seed = seed
        self.loss, self.doubling = loss, doubling
        self.neighbours = {i: neighbours_of(i, self.size, seed) for i in range(self.size)}
        costs = np.zeros(rows.shape[:2], dtype=np.int64) if costs is None else costs
        self.members = [
            Selection(i, self.size, rows[i], costs[i], self.neighbours[i], weight=weight, seed=seed)
            for i in range(self.size)
        ]
        self.rng = np.random.default_rng(seed)
        self.letters = 0
        self.texts = []
        self.runs = 0
        self.ended_in_flight = 0

    def negotiate(self, target, runs=1):
        for _ in range(runs):
            self._run(target)
        for member in self.members:
            member.keep_best()
        return self.members[0].best_fitness

    def _run(self, target):
        self.detector = TerminationDetector(self.runs, self.neighbours)
        self.flights, self.order = [], itertools.count()
        self.inbox = {i: [] for i in range(self.size)}
        kicked = kicked_in(self.runs, self.size, (), self.seed)
        for member in self.members:
            member.begin(self.runs, target, kicked, ())
        for i in range(self.size):
            self._act(i, 0.0)
        self._fly()
        while not self.detector.ended:
            for sender, receivers in self.detector.to_resend().items():
                self.members[sender].resend(receivers)
                self._act(sender, 0.0)
            self._fly()
        self.runs += 1

    def _fly(self):
        while self.flights:
            time, _, to, sender, text = heapq.heappop(self.flights)
            if sender is None:
                for each, update in self.inbox[to]:
                    self.members[to].perceive(each, update)
                self.inbox[to] = []
                self.members[to].decide()
                self._act(to, time)
            else:
                self.inbox[to].append((sender, unpack(text, Update)))
                if len(self.inbox[to]) == 1:
                    self._push(time + self.rng.uniform(1, 5), to, None, "")
            in_flight = any(sender is not None for _, _, _, sender, _ in self.flights)
            self.ended_in_flight += self.detector.ended and in_flight

    def _act(self, i, time):
        for j in self.neighbours[i]:
            update = self.members[i].update_for(j)
            if update is None:
                continue
            self.letters += 1
            text = pack(update)
            self.texts.append(text)
            copies = 2 if self.rng.random() < self.doubling else self.rng.random() >= self.loss
            for _ in range(int(copies)):
                self._push(time + self.rng.uniform(0.5, 2), j, i, text)
        self.detector.note(self.members[i].count())

    def _push(self, time, to, sender, text):
        heapq.heappush(self.flights, (time, next(self.order), to, sender, text))
