using System;
using System.Collections.Generic;
using System.Diagnostics.Metrics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Kmem.AspNetCore.Transport;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>Kestrel serves from Kmem's memory: every byte arrives, and every block comes back.</summary>
public sealed class KestrelTests
{
    public static TheoryData<string> Protocols => ["http", "https", "http2", "https2"];

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Answers_of_all_sizes_arrive_whole(string protocol)
    {
        await using TestServer server = await Start(protocol);
        using HttpClient client = server.Client(protocol.EndsWith('2') ? HttpVersion.Version20 : HttpVersion.Version11);
        foreach (int size in new[] { 0, 1, 100, 4000, 4096, 4097, 8192, 20_000, 65_536, 200_000, 5_000_000 })
        {
            byte[] answer = await client.GetByteArrayAsync(new Uri($"/bytes/{size}", UriKind.Relative), TestContext.Current.CancellationToken);
            Assert.Equal(size, answer.Length);
            for (int index = 0; index < answer.Length; index++)
            {
                if (answer[index] != TestServer.Expected(index))
                {
                    Assert.Fail($"byte {index} of {size}");
                }
            }
        }

        foreach (int count in new[] { 1, 4, 5, 40, 400 })
        {
            byte[] answer = await client.GetByteArrayAsync(new Uri($"/pieces/{count}", UriKind.Relative), TestContext.Current.CancellationToken);
            Assert.Equal(count * 1000, answer.Length);
            Assert.All(Enumerable.Range(0, count), piece => Assert.Equal(-1, answer.AsSpan(piece * 1000, 1000).IndexOfAnyExcept((byte)piece)));
        }

        Assert.True(server.Rents > 100, $"{server.Rents} rents");
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task Answers_arrive_whole_also_where_the_system_has_no_send_of_several_blocks()
    {
        bool isAvailable = VectoredSend.IsAvailable;
        try
        {
            VectoredSend.IsAvailable = false;
            await Answers_of_all_sizes_arrive_whole("http");
        }
        finally
        {
            VectoredSend.IsAvailable = isAvailable;
        }
    }

    [Fact]
    public async Task An_answer_of_many_blocks_arrives_whole_at_a_client_that_reads_slowly()
    {
        await using TestServer server = await Start("http");
        using HttpClient client = server.Client();
        using Stream answer = await client.GetStreamAsync(new Uri("/bytes/5000000", UriKind.Relative), TestContext.Current.CancellationToken);
        byte[] piece = new byte[10_007];
        long at = 0;
        for (int bytes; (bytes = await answer.ReadAsync(piece, TestContext.Current.CancellationToken)) != 0; at += bytes)
        {
            for (int index = 0; index < bytes; index++)
            {
                Assert.Equal(TestServer.Expected((int)at + index), piece[index]);
            }

            // Now and then the socket's buffers fill, and a send takes a part only.
            await Task.Delay(at % 13 == 0 ? 20 : 0, TestContext.Current.CancellationToken);
        }

        Assert.Equal(5_000_000, at);
        await EndAndAssertAllReturned(server);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Requests_of_all_sizes_arrive_whole(string protocol)
    {
        await using TestServer server = await Start(protocol);
        using HttpClient client = server.Client(protocol.EndsWith('2') ? HttpVersion.Version20 : HttpVersion.Version11);
        Random random = new(1);
        foreach (int size in new[] { 1, 4096, 100_000, 3_000_000 })
        {
            byte[] body = new byte[size];
            random.NextBytes(body);
            using ByteArrayContent content = new(body);
            using HttpResponseMessage answer = await client.PostAsync(new Uri("/echo", UriKind.Relative), content, TestContext.Current.CancellationToken);
            Assert.Equal(body, await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        }

        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task Many_connections_at_once_and_clients_that_go_in_the_middle()
    {
        await using TestServer server = await TestServer.Start();
        using HttpClient client = server.Client();
        Task[] work = [.. Enumerable.Range(0, 40).Select(number => Task.Run(async () =>
        {
            for (int turn = 0; turn < 10; turn++)
            {
                if ((number + turn) % 4 == 0)
                {
                    // Asks for much and leaves, with or without an end of data.
                    using Socket socket = await server.Connect();
                    await socket.SendAsync("GET /bytes/3000000 HTTP/1.1\r\nHost: here\r\n\r\n"u8.ToArray());
                    await socket.ReceiveAsync(new byte[1000]);
                    socket.Close(turn % 2);
                }
                else
                {
                    byte[] answer = await client.GetByteArrayAsync(new Uri($"/bytes/{(number * 1000) + turn}", UriKind.Relative));
                    Assert.Equal((number * 1000) + turn, answer.Length);
                }
            }
        }))];
        await Task.WhenAll(work);
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task A_connection_that_the_server_aborts_breaks_for_the_client()
    {
        await using TestServer server = await TestServer.Start();
        using HttpClient client = server.Client();
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetByteArrayAsync(new Uri("/abort", UriKind.Relative), TestContext.Current.CancellationToken));
        Assert.Equal(10, (await client.GetByteArrayAsync(new Uri("/bytes/10", UriKind.Relative), TestContext.Current.CancellationToken)).Length);
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task A_client_that_has_sent_everything_still_gets_its_answer()
    {
        await using TestServer server = await TestServer.Start();
        using Socket socket = await server.Connect();
        await socket.SendAsync("GET /bytes/100000 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"u8.ToArray());
        using NetworkStream stream = new(socket);
        using MemoryStream answer = new();
        await stream.CopyToAsync(answer, TestContext.Current.CancellationToken);
        string head = Encoding.ASCII.GetString(answer.GetBuffer(), 0, 15);
        Assert.Equal("HTTP/1.1 200 OK", head);
        Assert.True(answer.Length > 100_000);
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task Requests_that_come_all_at_once_are_answered_in_order()
    {
        await using TestServer server = await TestServer.Start();
        using Socket socket = await server.Connect();
        StringBuilder requests = new();
        for (int index = 0; index < 200; index++)
        {
            requests.Append(System.Globalization.CultureInfo.InvariantCulture, $"GET /pieces/{index % 7} HTTP/1.1\r\nHost: here\r\n{(index == 199 ? "Connection: close\r\n" : "")}\r\n");
        }

        await socket.SendAsync(Encoding.ASCII.GetBytes(requests.ToString()));
        using NetworkStream stream = new(socket);
        using MemoryStream answers = new();
        await stream.CopyToAsync(answers, TestContext.Current.CancellationToken);
        Assert.Equal(200, Encoding.Latin1.GetString(answers.GetBuffer(), 0, (int)answers.Length).Split("HTTP/1.1 200 OK").Length - 1);
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task A_client_that_reads_nothing_holds_no_more_than_the_limit()
    {
        await using TestServer server = await TestServer.Start();
        using Socket socket = await server.Connect();
        socket.ReceiveBufferSize = 4096;
        await socket.SendAsync("GET /bytes/100000000 HTTP/1.1\r\nHost: here\r\n\r\n"u8.ToArray());
        await Wait.Until(() => server.Rented > 4, "an answer under way");
        Assert.InRange(server.Rented, 1, 64);
        socket.Close(0);
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task A_connection_without_traffic_holds_no_block()
    {
        await using TestServer server = await TestServer.Start();
        using HttpClient client = server.Client();
        Assert.Equal(10, (await client.GetByteArrayAsync(new Uri("/bytes/10", UriKind.Relative), TestContext.Current.CancellationToken)).Length);
        await Wait.Until(() => server.Rented == 0, "no block out");
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task Unix_sockets_are_served()
    {
        string path = Path.Combine(Path.GetTempPath(), $"kmem-{Environment.ProcessId}.sock");
        await using TestServer server = await TestServer.Start(socketPath: path);
        using HttpClient client = new(new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) =>
            {
                Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), token);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        Assert.Equal(50_000, (await client.GetByteArrayAsync(new Uri("http://localhost/bytes/50000"), TestContext.Current.CancellationToken)).Length);
        await EndAndAssertAllReturned(server);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_said_to_be()
    {
        await using TestServer server = await TestServer.Start();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddKmemMemoryPool();
        builder.WebHost.UseUrls(server.Address.ToString());
        await using WebApplication second = builder.Build();
        IOException thrown = await Assert.ThrowsAsync<IOException>(() => second.StartAsync(TestContext.Current.CancellationToken));
        Assert.IsType<AddressInUseException>(thrown.InnerException);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_line_may_come_before_or_after_Kestrel(bool first)
    {
        HostBuilder builder = new();
        if (first)
        {
            builder.ConfigureServices(services => services.AddKmemMemoryPool());
        }

        builder.ConfigureWebHost(web => web.UseKestrel().UseUrls("http://127.0.0.1:0").Configure(app => app.Run(context => context.Response.WriteAsync(new string('x', 30_000)))));
        if (!first)
        {
            builder.ConfigureServices(services => services.AddKmemMemoryPool());
        }

        using IHost host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        string address = host.Services.GetRequiredService<Microsoft.AspNetCore.Hosting.Server.IServer>().Features
            .Get<Microsoft.AspNetCore.Hosting.Server.Features.IServerAddressesFeature>()!.Addresses.First();
        using HttpClient client = new();
        Assert.Equal(30_000, (await client.GetStringAsync(new Uri(address), TestContext.Current.CancellationToken)).Length);
        AspNetCore.SlabMemoryPoolFactory factory = host.Services.GetRequiredService<AspNetCore.SlabMemoryPoolFactory>();
        Assert.True(factory.Pools.Sum(pool => pool.GetStatistics().TotalRents) > 5);
        Assert.All(factory.Pools, pool => Assert.Same(KmemHeap.Shared, pool.Heap));
        Assert.Contains(KmemHeap.Shared.GetStatistics().Caches, cache => cache.Name == "kestrel");
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task The_meter_has_the_pools_of_the_server_as_one()
    {
        await using TestServer server = await TestServer.Start();
        using HttpClient client = server.Client();
        Assert.Equal(100_000, (await client.GetByteArrayAsync(new Uri("/bytes/100000", UriKind.Relative), TestContext.Current.CancellationToken)).Length);
        AspNetCore.SlabMemoryPoolFactory factory = server.Factory;
        using System.Buffers.MemoryPool<byte> more = factory.Create(new MemoryPoolOptions { Owner = "kestrel" });
        more.Rent().Dispose();
        Assert.True(factory.Pools.Count(static pool => pool.Name == "kestrel") > 1);
        Dictionary<string, long> rents = [];
        using MeterListener listener = new();
        listener.InstrumentPublished = static (instrument, each) =>
        {
            if (instrument.Name == KmemMetrics.MemoryPoolRents)
            {
                each.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) => rents.Add($"{tags[0].Value} {tags[1].Value}", value));
        listener.Start();
        listener.RecordObservableInstruments();

        // Where other tests have taken the places of heaps, it is among the others.
        string key = rents.Keys.Single(static key => key is "server kestrel" or "(other) kestrel");
        Assert.True(rents[key] >= factory.Pools.Where(static pool => pool.Name == "kestrel").Sum(static pool => pool.GetStatistics().TotalRents), $"{rents[key]}");
        Assert.InRange(rents.Count, 1, 18);
    }

    [Fact]
    public async Task Bad_options_stop_the_start_with_their_name()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddKmemMemoryPool(options => options.BlockBytes = 100);
        OptionsValidationException thrown = await Assert.ThrowsAsync<OptionsValidationException>(async () =>
        {
            // A web application asks for its server when it is built.
            await using WebApplication app = builder.Build();
            await app.StartAsync(TestContext.Current.CancellationToken);
        });
        Assert.Contains("BlockBytes of the memory pools is 512 to 1048576", thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Checked_leases_find_nothing_in_Kestrel()
    {
        List<KmemReport> reports = [];
        void Keep(KmemReport report)
        {
            lock (reports)
            {
                reports.Add(report);
            }
        }

        KmemReports.Reported += Keep;
        await using (TestServer server = await TestServer.Start(configure: options => options.CheckLeases = true))
        {
            server.Heap.SetChecks("FZPU");
            using HttpClient client = server.Client();
            for (int size = 1; size < 300_000; size *= 3)
            {
                Assert.Equal(size, (await client.GetByteArrayAsync(new Uri($"/bytes/{size}", UriKind.Relative), TestContext.Current.CancellationToken)).Length);
            }

            await EndAndAssertAllReturned(server);
            server.Heap.Validate();
        }

        KmemReports.Reported -= Keep;
        Assert.DoesNotContain(reports, report => report.HeapName == "server");
    }

    /// <summary>When this fails, Kestrel's own transport has learned to send from any memory, and ours is not needed any more.</summary>
    [Fact]
    public async Task Kestrels_own_transport_cannot_send_two_blocks_that_are_no_arrays()
    {
        await using TestServer server = await TestServer.Start(configure: options => options.UseTransport = false);
        using HttpClient client = server.Client();
        Assert.Equal(100, (await client.GetByteArrayAsync(new Uri("/bytes/100", UriKind.Relative), TestContext.Current.CancellationToken)).Length);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => client.GetByteArrayAsync(new Uri("/pieces/40", UriKind.Relative), TestContext.Current.CancellationToken));
    }

    private static Task<TestServer> Start(string protocol) => TestServer.Start(listen =>
    {
        listen.Protocols = protocol.EndsWith('2') ? HttpProtocols.Http2 : HttpProtocols.Http1;
        if (protocol.StartsWith("https", StringComparison.Ordinal))
        {
            listen.UseHttps(TestServer.Certificate());
        }
    });

    private static async Task EndAndAssertAllReturned(TestServer server)
    {
        await server.Stop();
        await Wait.Until(() => server.Rented == 0, "all blocks back");
        Assert.Equal(0, server.Heap.GetStatistics().Caches.First(cache => cache.Name.StartsWith("kestrel", StringComparison.Ordinal)).LiveObjects);
        Assert.DoesNotContain(server.Log.Lines, line => line.Level >= LogLevel.Warning);
    }
}
