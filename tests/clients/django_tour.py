"""Django's cache framework: a page cached by its decorator, the low-level interface and sessions, over HTTP.

Second argument: the backend's class in django.core.cache.backends.memcached.
"""

import sys
import threading
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.cache import cache_page
from tour import PORT, SIZES_BYTES, value_of, wait_until_gone

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    CACHES={
        "default": {
            "BACKEND": f"django.core.cache.backends.memcached.{sys.argv[2]}",
            "LOCATION": f"127.0.0.1:{PORT}",
            "KEY_PREFIX": "site",
        }
    },
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for this test only",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
)
django.setup()

rendered = []


@cache_page(100)
def page(request):
    rendered.append(request.path)
    return HttpResponse(f"rendered {len(rendered)} times")


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"visit {request.session['visits']}")


urlpatterns = [path("page", page), path("visits", visits)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def over_http():
    site = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    plain = urllib.request.build_opener()
    with_cookies = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def load(opener, name):
        return opener.open(f"http://127.0.0.1:{site.server_port}/{name}", timeout=10).read().decode()

    assert [load(plain, "page") for _ in range(3)] == ["rendered 1 times"] * 3, rendered
    cache.clear()
    assert load(plain, "page") == "rendered 2 times"
    assert [load(with_cookies, "visits") for _ in range(3)] == ["visit 1", "visit 2", "visit 3"]
    assert load(plain, "visits") == "visit 1"
    site.shutdown()
    site.server_close()


def low_level():
    assert cache.get("key") is None
    cache.set("key", {"object": [1, None]}, 100)
    assert cache.get("key") == {"object": [1, None]}
    assert not cache.add("key", "other")
    assert cache.get_or_set("made", lambda: "once") == cache.get_or_set("made", lambda: "twice") == "once"
    values = {f"many {i}".replace(" ", "-"): i for i in range(200)}
    assert cache.set_many(values) == []
    assert cache.get_many([*values, "missing"]) == values
    cache.delete_many(list(values)[:100])
    assert len(cache.get_many(values)) == 100
    cache.set("count", 10)
    assert cache.incr("count", 5) == 15
    assert cache.decr("count", 7) == 8
    assert cache.set("short", "x", 1) is None and cache.set("touched", "x", 100) is None
    assert cache.touch("touched", 1)
    wait_until_gone(lambda: cache.get_many(["short", "touched"]) == {})
    assert cache.get("count") == 8
    for size in SIZES_BYTES:
        cache.set("large", value_of(size))
        assert cache.get("large") == value_of(size), size
    assert cache.delete("key")
    assert not cache.delete("key")


over_http()
low_level()
print("all passed")
