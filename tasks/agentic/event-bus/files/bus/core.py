from bus.match import check, matches


class DeliveryError(Exception):
    def __init__(self, errors):
        super().__init__(f"{len(errors)} handlers failed")
        self.errors = errors


class Subscription:
    def __init__(self, bus, pattern, handler, priority, once):
        self.bus, self.pattern, self.handler, self.priority, self.once = bus, pattern, handler, priority, once

    def __eq__(self, other):
        return (self.pattern, self.handler) == (other.pattern, other.handler)

    def cancel(self):
        self.bus._drop(self)


class Bus:
    def __init__(self):
        self._exact, self._wild = {}, []

    def subscribe(self, pattern, handler, *, priority=0, once=False):
        check(pattern)
        made = Subscription(self, pattern, handler, priority, once)
        if "*" in pattern or "#" in pattern:
            self._wild.append(made)
            self._wild.sort(key=lambda s: s.priority, reverse=True)
        else:
            self._exact.setdefault(pattern, []).append(made)
            self._exact[pattern].sort(key=lambda s: s.priority, reverse=True)
        return made

    def _drop(self, subscription):
        for group in [self._wild, *self._exact.values()]:
            if subscription in group:
                group.remove(subscription)

    def publish(self, topic, **data):
        count = 0
        for subscription in self._exact.get(topic, []):
            subscription.handler(topic, **data)
            count += 1
            if subscription.once:
                subscription.cancel()
        for subscription in self._wild:
            if matches(subscription.pattern, topic):
                subscription.handler(topic, **data)
                count += 1
                if subscription.once:
                    subscription.cancel()
        return count

    def pending(self, topic):
        return len(self._exact.get(topic, [])) + len([s for s in self._wild if matches(s.pattern, topic)])
