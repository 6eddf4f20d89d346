from bus.match import check, matches, words


class DeliveryError(Exception):
    def __init__(self, errors):
        super().__init__(f"{len(errors)} handlers failed")
        self.errors = errors


class Subscription:
    def __init__(self, bus, pattern, handler, priority, once):
        self.bus, self.pattern, self.handler, self.priority, self.once = bus, pattern, handler, priority, once

    def cancel(self):
        self.handler = None
        self.bus._drop(self)


class Bus:
    def __init__(self):
        self._all = []

    def subscribe(self, pattern, handler, *, priority=0, once=False):
        check(pattern)
        made = Subscription(self, pattern, handler, priority, once)
        self._all.append(made)
        self._all.sort(key=lambda s: -s.priority)
        return made

    def _drop(self, subscription):
        self._all = [s for s in self._all if s is not subscription]

    def _matching(self, topic):
        words(topic)
        return [s for s in self._all if matches(s.pattern, topic)]

    def publish(self, topic, **data):
        count, errors = 0, []
        for subscription in self._matching(topic):
            handler = subscription.handler
            if handler is None:
                continue
            if subscription.once:
                subscription.cancel()
            count += 1
            try:
                handler(topic, **data)
            except Exception as error:
                errors.append(error)
        if errors:
            raise DeliveryError(errors)
        return count

    def pending(self, topic):
        return len(self._matching(topic))
