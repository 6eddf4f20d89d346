from bus.core import Bus, DeliveryError, Subscription

__all__ = ["Bus", "DeliveryError", "Subscription"]
