"""Internet addresses, as those are counted who call from them."""

from ipaddress import IPv6Address, ip_address, ip_network

# An IPv6 customer has a whole /64 to himself (RFC 6177).
_IPV6_NETWORK_BITS = 64


def line_of(address: str) -> str | None:
    """What one line gets: an IPv4 address, also one that is mapped into IPv6, or an IPv6 network; None for no address.

    >>> line_of("2001:db8:1:2:3:4:5:6")
    '2001:db8:1:2::/64'
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((int(parsed), _IPV6_NETWORK_BITS), strict=False))
