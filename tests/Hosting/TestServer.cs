using System;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Tasks;
using Kmem.AspNetCore;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kmem.Tests.Hosting;

/// <summary>A real Kestrel on a loopback port, its buffers from a heap of the test's own.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TestServer(WebApplication app, KeptLog log) => (_app, Log) = (app, log);

    public KeptLog Log { get; }

    public KmemHeap Heap => _app.Services.GetRequiredService<KmemHeap>();

    public SlabMemoryPoolFactory Factory => _app.Services.GetRequiredService<SlabMemoryPoolFactory>();

    public Uri Address { get; private set; } = null!;

    /// <summary>Leases that are out, of all pools that the server has.</summary>
    public long Rented => Factory.Pools.Sum(pool => pool.GetStatistics().RentedBlocks);

    public long Rents => Factory.Pools.Sum(pool => pool.GetStatistics().TotalRents);

    public static byte Expected(long position) => (byte)((position * 7) + (position >> 9));

    public static async Task<TestServer> Start(Action<ListenOptions>? listen = null, Action<KmemMemoryPoolOptions>? configure = null, string? socketPath = null)
    {
        KeptLog log = new();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(log);
        builder.Logging.SetMinimumLevel(LogLevel.Debug);
        builder.Services.AddKmem(options => options.HeapName = "server");
        builder.Services.AddKmemMemoryPool(configure);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinResponseDataRate = null;
            if (socketPath == null)
            {
                kestrel.Listen(IPAddress.Loopback, 0, set => listen?.Invoke(set));
            }
            else
            {
                kestrel.ListenUnixSocket(socketPath);
            }
        });
        WebApplication app = builder.Build();
        app.MapGet("/bytes/{count:long}", static async (long count, HttpContext context) =>
        {
            byte[] buffer = new byte[8192];
            for (long position = 0; position < count;)
            {
                int bytes = (int)Math.Min(buffer.Length, count - position);
                for (int index = 0; index < bytes; index++)
                {
                    buffer[index] = Expected(position + index);
                }

                await context.Response.Body.WriteAsync(buffer.AsMemory(0, bytes));
                position += bytes;
            }
        });
        app.MapGet("/pieces/{count:int}", static async (int count, HttpContext context) =>
        {
            // All of it in one flush: many blocks, none of them full to the last byte.
            for (int piece = 0; piece < count; piece++)
            {
                context.Response.BodyWriter.GetSpan(1000)[..1000].Fill((byte)piece);
                context.Response.BodyWriter.Advance(1000);
            }

            await context.Response.BodyWriter.FlushAsync();
        });
        app.MapPost("/echo", static async context =>
        {
            // All of it first: a client of HTTP/2 that is sending does not read.
            using MemoryStream body = new();
            await context.Request.Body.CopyToAsync(body);
            await context.Response.Body.WriteAsync(body.GetBuffer().AsMemory(0, (int)body.Length));
        });
        app.MapGet("/abort", static async context =>
        {
            await context.Response.Body.WriteAsync(new byte[20_000]);
            context.Abort();
        });
        await app.StartAsync();
        return new TestServer(app, log) { Address = new Uri(socketPath == null ? app.Urls.First() : "http://localhost") };
    }

    public HttpClient Client(Version? version = null) => new(new SocketsHttpHandler
    {
#pragma warning disable CA5359 // The certificate is the test's own.
        SslOptions = new() { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
#pragma warning restore CA5359
    })
    {
        BaseAddress = Address,
        Timeout = TimeSpan.FromSeconds(20),
        DefaultRequestVersion = version ?? HttpVersion.Version11,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    public async Task<Socket> Connect()
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Address.Port);
        return socket;
    }

    public static X509Certificate2 Certificate()
    {
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }

    public async Task Stop() => await _app.StopAsync();

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();
}
