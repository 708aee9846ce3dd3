"""Rate limits that hold. Other plugins import from here what the hooks of ratelimit take."""

from powerstrip_ratelimit.hooks import RateLimitKey as RateLimitKey
from powerstrip_ratelimit.hooks import RateLimitObserver as RateLimitObserver
from powerstrip_ratelimit.hooks import RateLimitQuota as RateLimitQuota

__version__ = "0.1.0"
