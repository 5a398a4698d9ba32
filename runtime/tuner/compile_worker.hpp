#pragma once

namespace flexgemm::detail {

/// Serves compile requests on a stream socket, one after the other, until the other end closes it or dies;
/// then the process ends at once, even in the middle of a compilation. Returns an exit status.
int serve_compilations(int socket);

}  // namespace flexgemm::detail
