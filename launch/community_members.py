"""Taking a site's membership away."""

from environments.live.prosody import ProsodyAccounts
from environments.simulation.clock import WallClock
from environments.site.keystore import Keystore, keystore_file
from launch.community_file import LoadedCommunity
from launch.community_host import Members, members_of
from ontology.errors import InvalidInput, problem

__all__ = ["revoke_site"]


def revoke_site(community: LoadedCommunity, site: str) -> int:
    """Revoke a site's certificate and remove its accounts; return how many.

    Raises: InvalidInput when it is no member.
    """
    members = Members(community)
    certificate = next((each for each in members.read() if each.site == site and site), None)
    if certificate is None:
        known = ", ".join(each.site for each in members.read() if each.site) or "there is none"
        raise InvalidInput(problem("SITE", site, f"a member: {known}"))
    keys = Keystore.read(keystore_file(community.data))
    signer = keys.agents[f"market@{community.scenario.server.domain}"].signer()
    members.issue(signer, site, members_of(certificate), WallClock().now_s(), is_revoked=True)
    server = community.file.server
    accounts = ProsodyAccounts(community.folder / server.accounts, server.domain)
    for member in certificate.members:
        accounts.remove(member.address)
    return len(certificate.members)
