using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kmem.AspNetCore.Transport;

/// <summary>
/// Sockets for Kestrel that send from any memory. Listens as <see cref="SocketTransportOptions"/> says, which Kestrel's own transport reads as well.
/// </summary>
/// <param name="pools">Where each listener gets its pool of blocks.</param>
/// <param name="gathering">A pool of any size, for sends that are put together from several blocks.</param>
/// <param name="options">Kestrel's.</param>
/// <param name="loggers">The host's.</param>
internal sealed class SlabTransportFactory(IMemoryPoolFactory<byte> pools, MemoryPool<byte> gathering, IOptions<SocketTransportOptions> options, ILoggerFactory loggers)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly ILogger _logger = loggers.CreateLogger<SlabTransportFactory>();

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint or FileHandleEndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        SocketTransportOptions set = options.Value;
        Socket socket;
        try
        {
            socket = set.CreateBoundListenSocket(endpoint);
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(exception.Message, exception);
        }

        try
        {
            socket.Listen(set.Backlog);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        MemoryPool<byte> pool = pools.Create(new MemoryPoolOptions { Owner = "kestrel" });
        return ValueTask.FromResult<IConnectionListener>(new SlabConnectionListener(socket, pool, gathering, set, _logger));
    }
}
