"""WebSockets, server-sent events and notifications for Powerstrip, with resume and bounded memory."""

from powerstrip_realtime.notifications import Notifications
from powerstrip_realtime.schemas import NewNotification, Notification
from powerstrip_realtime.topics import Topic, TopicHooks

__version__ = "0.1.0"

__all__ = ["NewNotification", "Notification", "Notifications", "Topic", "TopicHooks"]
