"""What the model check has seen: states, the moves between them, and which ways there are.

Small for each state and move, for there are millions."""

from array import array


class Graph:
    def __init__(self):
        self.number, self.moves = {}, {}  # digest -> state; move -> its number
        self.before, self.by = array("q"), array("q")  # of each state: where it was first met from, and by which move
        self.sources, self.targets = array("q"), array("q")  # of each edge
        self.ends = []

    def enter(self, digest, before, move):
        """-> (the state, was it new)"""
        here = self.number.setdefault(digest, len(self.before))
        is_new = here == len(self.before)
        if is_new:
            self.before.append(before)
            self.by.append(self.moves.setdefault(move, len(self.moves)))
        if before not in (-1, here):  # what changes nothing is no way
            self.sources.append(before)
            self.targets.append(here)
        return here, is_new

    def path_to(self, here):
        names, path = list(self.moves), []
        while self.before[here] >= 0:
            path.append(names[self.by[here]])
            here = self.before[here]
        return path[::-1]

    def edges_into(self):
        """-> (of each state where those that lead to it begin, their sources)"""
        first = array("q", bytes(8 * (len(self.before) + 1)))
        for target in self.targets:
            first[target + 1] += 1
        for i in range(1, len(first)):
            first[i] += first[i - 1]
        at, into = array("q", first), array("q", bytes(8 * len(self.targets)))
        for source, target in zip(self.sources, self.targets):
            into[at[target]] = source
            at[target] += 1
        return first, into

    def look_back(self):
        """All has been seen. -> (a state from which no way leads to an end or None, how many ways lead from the first
        state to an end or None if one may go round for ever, moves of the longest)"""
        first, into = self.edges_into()
        good, todo = bytearray(len(self.before)), list(self.ends)
        while todo:
            here = todo.pop()
            if not good[here]:
                good[here] = 1
                todo += [into[i] for i in range(first[here], first[here + 1]) if not good[into[i]]]
        endless = good.find(0)
        if endless >= 0:
            return endless, None, 0
        return None, *self.ways(first, into)

    def ways(self, first, into):
        left = array("q", bytes(8 * len(self.before)))  # moves from there to states whose ways are not known yet
        for source in self.sources:
            left[source] += 1
        ways, longest = array("d", bytes(8 * len(left))), array("q", bytes(8 * len(left)))
        todo = [here for here in self.ends if not left[here]]
        for here in self.ends:
            ways[here] = 1
        while todo:
            here = todo.pop()
            for i in range(first[here], first[here + 1]):
                source = into[i]
                ways[source] += ways[here]
                longest[source] = max(longest[source], longest[here] + 1)
                left[source] -= 1
                if not left[source]:
                    todo.append(source)
        return (None if left[0] else ways[0]), longest[0]
